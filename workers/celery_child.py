"""A node's Celery worker (``python -m workers.celery_child``): carries a pool's hints to the agent.

It owns nothing. SIGTERM ends it at once, SIGINT and SIGHUP are the agent's business, and when the
agent dies the kernel ends it.
"""

import ctypes
import os
import resource
import signal
import sys
import warnings
from typing import NoReturn

from celery.apps.worker import Worker
from celery.platforms import SecurityWarning

from ffrtmp import telemetry
from ffrtmp.broker.app import node_app
from workers.child import CHILD_VARIABLE, ChildSettings
from workers.tasks import register_hint_task
from workers.tracing import start_tracing

PR_SET_PDEATHSIG = 1
MOST_BYTES = 1 << 30
"""Of memory: whoever can write to the broker can make it read half of this at once."""


class NodeWorker(Worker):  # type: ignore[misc]
    """A Celery worker that leaves signals as they are.

    Celery's own handlers would wait for hour-long bodies on SIGTERM and start over on SIGHUP.
    """

    def install_platform_tweaks(self, worker: object) -> None:
        """Install nothing."""

    def stop(self, in_sighandler: bool = False, exitcode: int | None = None) -> NoReturn:  # noqa: ARG002
        """End at once: Celery would first wait for bodies that last as long as an encode."""
        sys.stderr.flush()
        os._exit(exitcode or 0)

    terminate = stop


def main() -> None:
    """Work until killed."""
    # It warns of pickle run by root; this child reads nothing but JSON and runs nothing.
    warnings.simplefilter("ignore", SecurityWarning)
    settings = ChildSettings.model_validate_json(os.environ[CHILD_VARIABLE])
    die_with_parent(settings.parent_pid)
    limit_memory()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    start_tracing(settings.tracing, service_name="ffrtmp-worker")
    if settings.tracing.enabled:
        telemetry.instrument_celery()
    app = node_app(
        settings.broker_url, queue_names=settings.queue_names, concurrency=settings.concurrency
    )
    register_hint_task(app, settings.socket_path, pool=settings.pool)
    worker = NodeWorker(
        app=app,
        hostname=settings.hostname,
        loglevel="WARNING",
        quiet=True,
        task_events=True,
        without_gossip=True,
        without_mingle=True,
    )
    worker.start()
    worker.stop(exitcode=worker.exitcode)


def limit_memory() -> None:
    """Let this process fail rather than take the host's memory."""
    _, ceiling = resource.getrlimit(resource.RLIMIT_DATA)
    most = MOST_BYTES if ceiling == resource.RLIM_INFINITY else min(MOST_BYTES, ceiling)
    resource.setrlimit(resource.RLIMIT_DATA, (most, most))


def die_with_parent(parent_pid: int) -> None:
    """End this process when its parent ends, or now if it already has."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent_pid:
        sys.exit(0)


if __name__ == "__main__":
    main()
