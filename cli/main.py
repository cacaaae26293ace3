"""The ``ffrtmp`` command."""

import sys
from collections.abc import Sequence
from typing import NoReturn

import typer

from cli import (
    config,
    demo,
    doctor,
    drain,
    events,
    jobs,
    keys,
    logs,
    nodes,
    processes,
    queues,
    submit,
    up,
)
from cli.certs import commands as certs
from cli.exits import EXPECTED_ERRORS, ExitCode, UsageError, ending_of
from cli.options import Session, group_callback, with_session
from cli.render import clean, say, show_json, write
from ffrtmp import __version__

HELP = """Transcode on many hosts: submit jobs, watch them, run the farm.

Exit codes: 0 ok, 1 failed, 2 usage, 3 master unreachable, 4 not found, 5 refused."""

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.callback()(group_callback(HELP))
up.add_to(app)
demo.add_to(app)
processes.add_to(app)
doctor.add_to(app)
events.add_to(app)
submit.add_to(jobs.app)
logs.add_to(jobs.app)
drain.add_to(nodes.app)
app.add_typer(jobs.app, name="jobs")
app.add_typer(nodes.app, name="nodes")
app.add_typer(queues.app, name="queues")
app.add_typer(keys.app, name="keys")
app.add_typer(config.app, name="config")
certs.add_to(app)


@app.command()
@with_session
def version(session: Session) -> None:
    """Say which version this is."""
    if session.wants_json:
        show_json({"version": __version__})
    else:
        write(f"ffrtmp {__version__}\n")


def main() -> NoReturn:
    """Run the command line of this process and end it with its exit code."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: Sequence[str]) -> int:
    """Run one command line; the exit code. Expected errors become one line on stderr."""
    command = typer.main.get_command(app)
    try:
        _require_text(arguments)
        return int(command.main(list(arguments), prog_name="ffrtmp", standalone_mode=False) or 0)
    except typer.TyperException as error:
        return _usage(error)
    except typer.Abort:
        return int(ExitCode.FAILED)
    except BrokenPipeError:
        sys.stdout = None
        return int(ExitCode.FAILED)
    except EXPECTED_ERRORS as error:
        ending = ending_of(error)
        say(f"ffrtmp: {_one_line(ending.message)}")
        return int(ending.code)


def _require_text(arguments: Sequence[str]) -> None:
    for argument in arguments:
        try:
            argument.encode()
        except UnicodeEncodeError:
            raise UsageError(
                f"{argument.encode(errors='replace').decode()!r} is not UTF-8"
            ) from None


def _usage(error: typer.TyperException) -> int:
    message = error.format_message()
    if type(error).__name__ == "NoArgsIsHelpError":
        sys.stderr.write(message + "\n")
        return error.exit_code
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "ffrtmp"
    say(f"ffrtmp: {_one_line(message).rstrip('.')}; see '{path} --help'")
    return error.exit_code


def _one_line(text: str) -> str:
    return clean(" ".join(text.split()))
