"""``python -m ffrtmp.master``: the whole master, or with ``only`` one part of it.

The settings come from the environment. The whole master is a supervisor of its parts, so each
runs, fails and is restarted alone. What only one part needs is imported in its function: the
supervisor stays small, and beat never loads the database.
"""

import ipaddress
import logging
import os
import signal
import socket
import sys
import threading
from datetime import UTC, datetime
from types import FrameType
from typing import TextIO

from ffrtmp import telemetry
from ffrtmp.config import MasterSettings
from ffrtmp.config.exposed import exposed
from ffrtmp.config.places import why_unusable
from ffrtmp.domain.errors import Unavailable
from ffrtmp.hangup import Hangups
from ffrtmp.logs import log_to_stderr
from ffrtmp.metrics import PortInUse
from ffrtmp.parts import LOOPBACK, PART_VARIABLE, local_host, master_parts
from ffrtmp.supervisor import REFUSED, StartFailed, Supervisor, stop_on_signals
from ffrtmp.tls import TlsFileError

FAILED = 1
MTLS_HEALTH_PORT = 8081
"""Of /health where clients without a certificate cannot reach the API."""
NO_KEY = """\
########################################################################
# NO API KEY IS SET. Whoever reaches this port can run jobs, read every
# file the nodes can read, and stop the farm. Set MASTER_API_KEY in the
# environment, or MASTER_API_KEY_FILE to a file that has the key.
########################################################################
"""

log = logging.getLogger("ffrtmp.master")


class CannotServe(Exception):  # noqa: N818
    """The master will not start with these settings here; the text says what to change."""

    def __init__(self, message: str, *, status: int) -> None:
        super().__init__(message)
        self.status = status


def main() -> None:
    """Serve until SIGTERM or SIGINT. Exit status 2: these settings are refused; 1: it failed."""
    settings = MasterSettings.from_environment(os.environ)
    configure_logging()
    try:
        serve(settings, out=sys.stdout)
    except CannotServe as error:
        sys.stderr.write(f"ffrtmp master: {error}\n")
        sys.exit(error.status)
    except TlsFileError as error:
        sys.stderr.write(f"ffrtmp master: {error}\n")
        sys.exit(REFUSED)
    except Unavailable as error:
        why = " ".join(error.message.split())
        sys.stderr.write(f"ffrtmp master: {why}; check --db and --broker\n")
        sys.exit(FAILED)
    except (StartFailed, PortInUse, OSError) as error:
        sys.stderr.write(f"ffrtmp master: {error}\n")
        sys.exit(FAILED)


def serve(settings: MasterSettings, *, out: TextIO) -> None:
    """Be the part that ``settings.only`` names, or all of them."""
    if PART_VARIABLE not in os.environ:
        for warning in exposed(settings):
            log.warning("%s", warning)
    if settings.only in (None, "api"):
        refuse_unusable_places(settings)
        refuse_open_door(settings)
        refuse_unusable_tls(settings)
        settings = with_health_port(settings)
    if settings.only is None:
        serve_all(settings, out=out)
    elif settings.only == "api":
        serve_api(settings)
    elif settings.only == "control":
        serve_control(settings)
    else:
        serve_beat(settings)


def serve_all(settings: MasterSettings, *, out: TextIO) -> None:
    """Supervise every part; says ``master ready at <url>`` on ``out`` once the API answers."""
    settled = settle_ports(settings)
    supervisor = Supervisor(master_parts(settled), log)
    stop = stop_on_signals(supervisor)
    reread_on_hangup(supervisor, stop)
    with supervisor:
        supervisor.start(stop)
        if not stop.is_set():
            out.write(f"master ready at {url_of(settled)}\n")
            out.flush()
        supervisor.run(stop)


def serve_api(settings: MasterSettings) -> None:
    """The API, which also brings the schema up to date."""
    from ffrtmp.api import app

    if settings.api_key is None:
        sys.stderr.write(NO_KEY)
    require_broker(settings)
    app.serve(settings)


def serve_control(settings: MasterSettings) -> None:
    """The control worker."""
    from ffrtmp import control

    require_broker(settings)
    if settings.tracing.enabled:
        telemetry.start_tracing("ffrtmp-control", endpoint=settings.tracing.endpoint)
        telemetry.instrument_celery()
    control.serve(settings)


def serve_beat(settings: MasterSettings) -> None:
    """Celery beat."""
    from ffrtmp.broker import beat

    beat.serve_beat(
        require_broker(settings), scheduler_interval_seconds=settings.scheduler_interval
    )


def require_broker(settings: MasterSettings) -> str:
    """The broker's URL; CannotServe without one, since a part alone starts none."""
    if settings.broker_url is None:
        raise CannotServe(f"--only {settings.only} needs --broker", status=REFUSED)
    return settings.broker_url


def refuse_unusable_places(settings: MasterSettings) -> None:
    """CannotServe where the data folder or the database file is something else."""
    why = why_unusable(settings)
    if why is not None:
        raise CannotServe(why, status=REFUSED)


def refuse_open_door(settings: MasterSettings) -> None:
    """CannotServe when anybody on the network could use the farm and nobody said they may."""
    if settings.api_key is None and not settings.insecure and not is_loopback(settings.host):
        raise CannotServe(
            f"without an API key it listens only on loopback, not on {settings.host or '*'}; "
            "set MASTER_API_KEY or MASTER_API_KEY_FILE, or accept it with --insecure",
            status=REFUSED,
        )


def refuse_unusable_tls(settings: MasterSettings) -> None:
    """TlsFileError where the API could not serve with these files."""
    if settings.tls.enabled:
        from ffrtmp.tls.serving import load

        load(settings.tls, now=datetime.now(UTC))


def with_health_port(settings: MasterSettings) -> MasterSettings:
    """With a port for /health that takes no certificate, where the API takes one."""
    if settings.tls.mtls and settings.health_port is None:
        return settings.model_copy(update={"health_port": MTLS_HEALTH_PORT})
    return settings


def reread_on_hangup(supervisor: Supervisor, stop: threading.Event) -> None:
    """From now on SIGHUP makes the API read its files again, and still stops all of it where the
    terminal is gone."""
    hangups = Hangups()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if hangups.mean_stop():
            stop.set()
        supervisor.ask_reread()

    signal.signal(signal.SIGHUP, handle)


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches ``host``."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def settle_ports(settings: MasterSettings) -> MasterSettings:
    """Free ports in place of 0; CannotServe if one that was asked for is taken."""
    settled = {"port": _claim_port(settings.host, settings.port, "--port")}
    for name in ("health_port", "metrics_port", "flower_port", "broker_port"):
        port = getattr(settings, name)
        # A broker port of 0 stays open: the broker prefers the one it had last time.
        if port or (port == 0 and name != "broker_port"):
            settled[name] = _claim_port(LOOPBACK, port, f"--{name.replace('_', '-')}")
    return settings.model_copy(update=settled)


def url_of(settings: MasterSettings) -> str:
    """Where this machine reaches the API."""
    host = local_host(settings)
    scheme = "https" if settings.tls.enabled else "http"
    return f"{scheme}://{f'[{host}]' if ':' in host else host}:{settings.port}"


def configure_logging() -> None:
    """Everything to stderr. Celery's lines per message would be most of control's log."""
    log_to_stderr("celery.worker", "celery.app.trace", "celery.beat", "httpx", "alembic")


def _claim_port(host: str, port: int, flag: str) -> int:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CannotServe(
                f"cannot listen on {host or '*'}:{port}: {error.strerror}; "
                f"choose another with {flag}, 0 takes a free one",
                status=FAILED,
            ) from error
        return int(probe.getsockname()[1])


if __name__ == "__main__":
    main()
