"""The options every command takes, before or after its name, and the session they settle."""

import functools
import inspect
import os
from collections.abc import Callable
from dataclasses import dataclass, fields, is_dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, Concatenate, ParamSpec, get_type_hints

import typer

from cli.exits import UsageError
from cli.patience import Patience
from cli.render import say
from ffrtmp.client import Connection, MasterClient
from ffrtmp.config import INSECURE, WORKER_ENVIRONMENT, WorkerSettings, load
from ffrtmp.tls import TlsFileError

P = ParamSpec("P")
PANEL = "Options of every command"


class OutputFormat(StrEnum):
    """How data is written to stdout."""

    TABLE = "table"
    JSON = "json"


def _option(*names: str, say: str) -> Any:
    return typer.Option(*names, help=say, rich_help_panel=PANEL, show_default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class GlobalOptions:
    """What was given at one level of the command line; None was not given there."""

    master: Annotated[
        str | None, _option("--master", say="URL of the master [env: MASTER_URL]")
    ] = None
    api_key: Annotated[
        str | None,
        _option(
            "--api-key",
            say="key of the API; every user of this host sees it in ps, so rather set"
            " FFMPEG_RTMP_API_KEY, for master and up MASTER_API_KEY, or give a file",
        ),
    ] = None
    api_key_file: Annotated[
        Path | None,
        _option(
            "--api-key-file",
            say="file with the key of the API, chmod 600"
            " [env: FFMPEG_RTMP_API_KEY_FILE; of master and up: MASTER_API_KEY_FILE]",
        ),
    ] = None
    ca: Annotated[Path | None, _option("--ca", say="CA certificates to trust, a PEM file")] = None
    cert: Annotated[Path | None, _option("--cert", say="TLS certificate, a PEM file")] = None
    key: Annotated[Path | None, _option("--key", say="key of the TLS certificate")] = None
    insecure_skip_tls_verification: Annotated[
        bool | None,
        _option(
            "--insecure-skip-tls-verification",
            say="believe whoever answers to be the master, and show them the API key",
        ),
    ] = None
    config: Annotated[
        Path | None, _option("--config", say="YAML file with master: and worker: sections")
    ] = None
    output: Annotated[
        OutputFormat | None, _option("--output", say="how data is shown; table is the default")
    ] = None

    def under(self, outer: "GlobalOptions") -> "GlobalOptions":
        """These, and where they say nothing, the outer ones."""
        mine = {field.name: getattr(self, field.name) for field in fields(self)}
        if self.api_key is not None or self.api_key_file is not None:
            # A key given here, in whichever way, goes before one given there in the other.
            outer = replace(outer, api_key=None, api_key_file=None)
        return GlobalOptions(
            **{name: getattr(outer, name) if v is None else v for name, v in mine.items()}
        )


@dataclass(frozen=True, slots=True)
class Session:
    """One run of the command: its global options and what follows from them."""

    options: GlobalOptions

    @property
    def wants_json(self) -> bool:
        """True where data goes out as JSON."""
        return self.options.output is OutputFormat.JSON

    def settings(self) -> WorkerSettings:
        """Where the master is and what opens it: flags, environment, file, defaults."""
        given = self.options
        flags = {
            "master_url": given.master,
            "api_key": given.api_key,
            "api_key_file": given.api_key_file,
            "tls.ca": given.ca,
            "tls.cert": given.cert,
            "tls.key": given.key,
            "tls.insecure_skip_tls_verification": given.insecure_skip_tls_verification,
        }
        return load(
            WorkerSettings,
            section="worker",
            file=given.config,
            environment=os.environ,
            variables=WORKER_ENVIRONMENT,
            flags=flags,
        )

    def client(self) -> MasterClient:
        """A client of the settled master; UsageError where the settings cannot be used."""
        settings = self.settings()
        warn_of_insecure(settings)
        try:
            return MasterClient(
                Connection.of(settings, key=settings.api_key), outlast=Patience().outlast
            )
        except TlsFileError as error:
            raise UsageError(f"{error}; check --ca, --cert and --key") from error


def warn_of_insecure(settings: WorkerSettings) -> None:
    """Say on stderr that nobody checks who the master is, each time that is so."""
    if settings.tls.insecure_skip_tls_verification:
        say(INSECURE)


def with_session(function: Callable[Concatenate[Session, P], None]) -> Callable[..., None]:
    """The function as Typer wants it: the global options in place of its session, and the fields
    of each dataclass among its parameters in place of that dataclass."""
    hints = get_type_hints(function, include_extras=True)
    own = list(inspect.signature(function).parameters.values())[1:]
    groups = {p.name: hints[p.name] for p in own if is_dataclass(hints[p.name])}

    @functools.wraps(function)
    def command(context: typer.Context, **given: Any) -> None:
        options = _take_options(given).under(_outer(context))
        for name, group in groups.items():
            given[name] = group(**{field.name: given.pop(field.name) for field in fields(group)})
        function(Session(options), **given)  # type: ignore[call-arg]

    single = [p.replace(annotation=hints[p.name]) for p in own if p.name not in groups]
    grouped = [p for group in groups.values() for p in _parameters_of(group)]
    _retype(command, [_CONTEXT, *single, *grouped, *_GLOBALS])
    return command


def group_callback(
    help_text: str, *, alone: Callable[[Session], None] | None = None
) -> Callable[..., None]:
    """The callback of a command group: it only collects global options.

    ``alone`` is what the group does by itself, when no command of it is named; its Typer then
    needs ``invoke_without_command``.
    """

    def callback(context: typer.Context, **given: Any) -> None:
        context.obj = _take_options(given).under(_outer(context))
        if alone is not None and context.invoked_subcommand is None:
            alone(Session(context.obj))

    callback.__doc__ = help_text
    _retype(callback, [_CONTEXT, *_GLOBALS])
    return callback


def _take_options(given: dict[str, Any]) -> GlobalOptions:
    return GlobalOptions(
        **{field.name: given.pop(_PREFIX + field.name) for field in fields(GlobalOptions)}
    )


def _outer(context: typer.Context) -> GlobalOptions:
    found = context.obj
    return found if isinstance(found, GlobalOptions) else GlobalOptions()


def _retype(function: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Give a function the signature Typer shall read."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {p.name: p.annotation for p in parameters}
    if hasattr(function, "__wrapped__"):
        del function.__wrapped__


def _parameters_of(group: type[Any], prefix: str = "") -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            prefix + field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]


_PREFIX = "global_"
_CONTEXT = inspect.Parameter(
    "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
)
_GLOBALS = _parameters_of(GlobalOptions, _PREFIX)
