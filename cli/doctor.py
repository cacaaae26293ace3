"""``ffrtmp doctor``: what this host can do as a node, found by trying it."""

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import typer

from cli.exits import CliError, ExitCode
from cli.flags import AgentFlags, worker_settings
from cli.options import Session, with_session
from cli.render import show_json, show_table, write
from ffrtmp.config import WorkerSettings, child_environment, python_module

CHECKS = ("check", "status", "detail")
ENCODERS = ("device", "encoder", "8 bit", "10 bit")
DECODERS = ("device", "decodes for", "8 bit", "10 bit")


@with_session
def doctor(session: Session, *, flags: AgentFlags) -> None:
    """Say what this host can do as a node, with the flags and settings of its agent.

    Every encoder of every device is tried, and what each GPU decodes. The master is asked only
    where one is named. Exits 1 where the host could not work.
    """
    findings = _look(worker_settings(session.options, flags))
    if session.wants_json:
        show_json(findings)
    else:
        _show(findings)
    if not findings["can_work"]:
        raise typer.Exit(ExitCode.FAILED)


def _look(settings: WorkerSettings) -> dict[str, Any]:
    """What the node's own code finds, in a process of its own as the agent's is."""
    is_master_named = "master_url" in settings.model_fields_set
    ended = subprocess.run(
        [*python_module("workers.doctor"), *(["--master"] if is_master_named else [])],
        env=child_environment(settings),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        check=False,
    )
    try:
        findings: dict[str, Any] = json.loads(ended.stdout)
    except ValueError as error:
        raise CliError(
            f"looking at this host ended with {ended.returncode} and no answer; see above"
        ) from error
    return findings


def _show(findings: Mapping[str, Any]) -> None:
    checks = findings["checks"]
    show_table(CHECKS, [(check["name"], check["status"], check["detail"]) for check in checks])
    if findings["encoders"]:
        write("\n")
        show_table(ENCODERS, _rows(findings["encoders"], "{encoder}"))
    if findings["decoders"]:
        write("\n")
        show_table(DECODERS, _rows(findings["decoders"], "{hardware}:{codec}"))


def _rows(trials: Sequence[Mapping[str, Any]], name: str) -> Iterator[Sequence[str]]:
    """One row per device and ``name``, whose trials at 8 and 10 bits stand side by side."""
    cells: dict[tuple[str, str], dict[int, str]] = {}
    for trial in trials:
        said = "yes" if trial["works"] else f"no: {trial['reason']}"
        cells.setdefault((trial["device"], name.format_map(trial)), {})[trial["bits"]] = said
    for (device, named), depths in cells.items():
        yield device, named, depths.get(8, "-"), depths.get(10, "-")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(doctor)
