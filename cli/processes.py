"""``ffrtmp master`` and ``ffrtmp agent``: settle the settings, then become that process."""

import os
import sys
from typing import Annotated, NoReturn

import typer

from cli.exits import UsageError
from cli.flags import AgentFlags, MasterFlags, MasterTuning, master_settings, worker_settings
from cli.options import Session, with_session
from ffrtmp.config import Settings, child_environment, python_module


@with_session
def master(session: Session, *, flags: MasterFlags, tuning: MasterTuning) -> None:
    """Run the master: API, control and beat, with an embedded broker unless --broker names one."""
    settings = master_settings(session.options, flags, tuning)
    if (session.options.cert or session.options.key) and not settings.tls.enabled:
        raise UsageError("--cert and --key serve HTTPS only together with --tls")
    become("ffrtmp.master", settings)


@with_session
def agent(
    session: Session,
    *,
    register: Annotated[  # noqa: ARG001
        bool, typer.Option("--register", help="accepted for its readers: an agent always registers")
    ] = False,
    flags: AgentFlags,
) -> None:
    """Run the agent of this host: register at the master and take jobs."""
    become("workers", worker_settings(session.options, flags))


def become(module: str, settings: Settings) -> NoReturn:
    """Replace this process by a module with settled settings; no key stands in its arguments."""
    sys.stdout.flush()
    sys.stderr.flush()
    arguments = python_module(module)
    os.execve(arguments[0], arguments, child_environment(settings))  # noqa: S606 - our own Python


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command()(master)
    app.command()(agent)
