"""``ffrtmp up``: the whole farm on this machine until Ctrl-C."""

import logging
import shlex
import sys
import threading
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from cli.exits import UsageError
from cli.flags import MasterTuning, master_settings, worker_settings
from cli.folder import FarmFolder
from cli.options import Session, with_session
from cli.render import say, show_json, write
from ffrtmp.config import MasterSettings, WorkerSettings
from ffrtmp.config.places import why_unusable

if TYPE_CHECKING:
    from cli.certs.own import OwnCertificates
    from cli.farm import FarmPlan, RunningFarm

DEFAULT_FOLDER = Path("ffrtmp-data")
MAX_WORKERS = 64


@with_session
def up(
    session: Session,
    *,
    data_dir: Annotated[
        Path, typer.Option(help="folder of everything the farm keeps")
    ] = DEFAULT_FOLDER,
    host: Annotated[str | None, typer.Option(help="address the API listens on [127.0.0.1]")] = None,
    port: Annotated[
        int | None, typer.Option(help="port of the API; 0 takes a free one [8080]")
    ] = None,
    slots: Annotated[int | None, typer.Option(min=1, help="attempts at once on each node")] = None,
    workers: Annotated[int, typer.Option(min=1, max=MAX_WORKERS, help="nodes")] = 1,
    tls: Annotated[
        bool | None,
        typer.Option("--tls/--no-tls", help="serve HTTPS, with certificates of the farm's own"),
    ] = None,
    tuning: MasterTuning,
) -> None:
    """Run the whole farm in the foreground until Ctrl-C; a second Ctrl-C stops it at once."""
    from cli.farm import running, settle  # heavy, and no other command needs it

    options = session.options
    given = None if tls and options.cert is None else tls
    master = master_settings(options, tuning, host=host, port=port, data_dir=data_dir, tls=given)
    agent = worker_settings(options, slots=slots)
    require_places(master)
    folder = FarmFolder(data_dir)
    log_to_stderr()
    with folder.locked():
        own = own_certificates(folder, master) if tls and not master.tls.enabled else None
        if own is not None:
            master, agent = with_own(own, master, agent)
        plan = settle(folder, master, agent, workers=workers)
        say(f"starting a farm in {folder.path}")
        with running(plan) as farm:
            if farm is None:
                return
            _say_ready(session, farm)
            if own is not None:
                keep_good(own, farm)
            farm.tend()
            say("stopping: running attempts go back to their queues")
    say("stopped")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(up)


def require_places(master: MasterSettings) -> None:
    """UsageError where the data folder or the database file is something else."""
    why = why_unusable(master)
    if why is not None:
        raise UsageError(why)


def own_certificates(folder: FarmFolder, master: MasterSettings) -> "OwnCertificates":
    """The farm's own, good from now on."""
    from cli.certs.own import OwnCertificates  # what makes certificates is heavy

    own = OwnCertificates(folder.certificates, host=master.host)
    own.prepare(now=datetime.now(UTC))
    return own


def with_own(
    own: "OwnCertificates", master: MasterSettings, agent: WorkerSettings
) -> tuple[MasterSettings, WorkerSettings]:
    """The settings of a farm that serves with these and trusts them."""
    trusting = agent.tls.model_copy(update={"ca": own.ca})
    return (
        master.model_copy(update={"tls": own.settings}),
        agent.model_copy(update={"tls": trusting}),
    )


def keep_good(own: "OwnCertificates", farm: "RunningFarm") -> None:
    """Renew them in time for as long as the farm runs."""
    threading.Thread(
        name="certificates",
        target=partial(own.keep_good, farm.stop, on_renewal=farm.supervisor.ask_reread),
        daemon=True,
    ).start()


def log_to_stderr() -> None:
    """Let the supervisor's warnings be seen."""
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(message)s", force=True)


def export_line(plan: "FarmPlan") -> str:
    """What a shell needs so that every command finds this farm."""
    key = shlex.quote(plan.master.api_key or "")
    ca = plan.connection().ca if plan.master.tls.enabled else None
    trusting = f" MASTER_CA={shlex.quote(ca)}" if ca else ""
    return f"export MASTER_URL={plan.api_url} FFMPEG_RTMP_API_KEY={key}{trusting}"


def _say_ready(session: Session, farm: "RunningFarm") -> None:
    facts = farm.plan.facts(farm.supervisor.pids())
    if session.wants_json:
        show_json(facts)
        return
    write(
        f"ready api={facts['api_url']} nodes={len(farm.plan.agents)} flower={facts['flower_url']}"
        f" (user {facts['flower_user']}, password {facts['flower_password']})"
        f" data={facts['data_dir']}\n"
        f"in another terminal: {export_line(farm.plan)}\n"
        "Ctrl-C stops the farm\n"
    )
