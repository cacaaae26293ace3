"""``ffrtmp config``: what the settings are, where they come from, what suits this host."""

import os
import re
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

import psutil
import typer
import yaml

from cli.flags import master_settings, worker_settings
from cli.options import GlobalOptions, Session, group_callback, with_session
from cli.render import show_json, show_table, write
from ffrtmp.config import MASTER_ENVIRONMENT, WORKER_ENVIRONMENT, Settings, load

MASK = "********"
SECRETS = ("api_key", "flower_password")
GIB = 1 << 30
CORES_PER_SLOT = 2
GIB_PER_SLOT = 1

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.callback()(group_callback("Look at settings."))


@app.command()
@with_session
def show(session: Session) -> None:
    """Show the settled settings of master and worker, keys masked, and where each came from."""
    sections = {
        "master": (master_settings(session.options), MASTER_ENVIRONMENT),
        "worker": (worker_settings(session.options), WORKER_ENVIRONMENT),
    }
    if session.wants_json:
        show_json({name: masked(settings) for name, (settings, _) in sections.items()})
        return
    rows = [
        (f"{section}.{name}", value, origin)
        for section, (settings, variables) in sections.items()
        for name, value, origin in _origins(session.options, section, settings, variables)
    ]
    show_table(("setting", "value", "from"), rows)


@app.command()
@with_session
def recommend(session: Session) -> None:
    """Write a settings file that suits this host."""
    found = recommended(len(os.sched_getaffinity(0)), psutil.virtual_memory().total)
    if session.wants_json:
        show_json(found)
        return
    cores, memory = len(os.sched_getaffinity(0)), psutil.virtual_memory().total // GIB
    write(f"# for a host with {cores} cores and {memory} GiB; use it with --config FILE\n")
    write(yaml.safe_dump(found, sort_keys=False))


def recommended(cores: int, memory_bytes: int) -> dict[str, Any]:
    """Both sections: a slot per two cores and per GiB, since an encoder uses about two well."""
    slots = min(cores // CORES_PER_SLOT, memory_bytes // GIB // GIB_PER_SLOT, 256)
    return {
        "master": {"port": 8080, "max_retries": 3, "scheduler_interval": "5s"},
        "worker": {
            "master_url": "http://localhost:8080",
            "slots": max(1, int(slots)),
            "queues": ["live", "default", "batch"],
            "heartbeat_interval": "30s",
            "poll_interval": "10s",
        },
    }


def masked(settings: Settings) -> dict[str, Any]:
    """The settings as JSON, what is secret replaced."""
    values = settings.model_dump(mode="json")
    return {name: _masked(name, value) for name, value in values.items()}


def _masked(name: str, value: Any) -> Any:
    if name in SECRETS and value:
        return MASK
    if isinstance(value, Mapping):
        return {inner: _masked(inner, one) for inner, one in value.items()}
    if isinstance(value, str) and "://" in value:
        return _without_password(value)
    return value


def _without_password(url: str) -> str:
    shown = re.sub(r"(?i)(password=)[^&#]*", rf"\1{MASK}", url)
    password = urlsplit(url).password
    return shown if password is None else shown.replace(f":{password}@", f":{MASK}@", 1)


def _origins(
    options: GlobalOptions, section: str, settings: Settings, variables: Mapping[str, str]
) -> Iterable[tuple[str, Any, str]]:
    file = load(
        type(settings),
        section=section,
        file=options.config,
        environment={},
        variables={},
        flags={},
    )
    for name, value in masked(settings).items():
        origin = _origin(name, options, section, file, variables)
        if name == "api_key" and (key_file := getattr(settings, "api_key_file", None)):
            origin = str(key_file)
        yield name, value, origin


def _origin(
    name: str, options: GlobalOptions, section: str, file: Settings, variables: Mapping[str, str]
) -> str:
    flags: dict[str, Any] = {"api_key": options.api_key, "api_key_file": options.api_key_file}
    flags["tls"] = options.ca or options.cert or options.key
    if section == "worker":
        flags["master_url"] = options.master
    if flags.get(name):
        return "flag"
    for setting, variable in variables.items():
        for given in (variable, f"{variable}_FILE"):
            if setting.partition(".")[0] == name and os.environ.get(given):
                return given
    return str(options.config) if name in file.model_fields_set else "default"
