"""The one Celery task of a node: tell the agent of a hint and wait until it is done with it."""

import json
import logging
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

from celery import Celery, signals
from celery.worker.consumer import consumer

from ffrtmp import telemetry
from ffrtmp.broker.messages import HINT_TASK, hint_from_kwargs
from ffrtmp.domain.hint import Hint
from workers.pools import Pool
from workers.threads import start_thread
from workers.unix_path import short_path

DROPS_SECONDS = 1.0
"""The least time between two reports of dropped messages."""
CELERYS_WORDS = (
    consumer.UNKNOWN_TASK_ERROR,
    consumer.INVALID_TASK_ERROR,
    consumer.UNKNOWN_FORMAT,
)
"""What Celery logs of each dropped message, a page long with a traceback."""
log = logging.getLogger(__name__)


class Drops:
    """Counts messages that are no hints of this release, and tells the agent how many."""

    def __init__(self, socket_path: Path, pool: Pool) -> None:
        self._socket_path = socket_path
        self._pool = pool
        self._count = 0
        self._changed = threading.Condition()

    def note(self, **_signal: object) -> None:
        """One more; returns at once."""
        with self._changed:
            self._count += 1
            self._changed.notify()

    def run(self) -> NoReturn:
        """Report for as long as the process lives."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._count)
                count, self._count = self._count, 0
            log.warning("dropped %d messages that are no hints of this release", count)
            tell_agent({"dropped": count, "pool": self._pool}, self._socket_path)
            time.sleep(DROPS_SECONDS)


def register_hint_task(app: Celery, socket_path: Path, *, pool: Pool) -> None:
    """Let ``app`` serve a pool's hints through the agent's socket, and count what is none."""
    drops = Drops(socket_path, pool)

    def hint(**kwargs: Any) -> None:
        found = hint_from_kwargs(kwargs, queue_name="")
        if found is None:
            drops.note()
            return
        try:
            hand_to_agent(found, socket_path, pool=pool)
        except Exception:
            # Celery answers a MemoryError by putting the message back and ending the worker.
            log.exception("a hint was not handed in")

    app.task(hint, name=HINT_TASK)
    for dropped in (signals.task_unknown, signals.task_rejected):
        dropped.connect(drops.note, weak=False)
    consumer.logger.addFilter(lambda record: record.msg not in CELERYS_WORDS)
    start_thread("drops", drops.run)


def hand_to_agent(hint: Hint, socket_path: Path, *, pool: Pool) -> None:
    """Block until the agent hangs up; a hint it does not take costs only time."""
    said = {"job_id": hint.job_id, "rank": hint.rank, "pool": pool}
    tell_agent(said | {"trace_parent": telemetry.current_traceparent()}, socket_path)


def tell_agent(said: Mapping[str, object], socket_path: Path) -> None:
    """Say one line and block until the agent hangs up; logged where it does not listen."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            with short_path(socket_path) as name:
                connection.connect(name)
            connection.sendall(f"{json.dumps(said)}\n".encode())
            while connection.recv(64):
                pass
    except OSError as error:
        log.warning("the agent does not listen: %s", error)
