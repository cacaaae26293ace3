"""The control worker: thin Celery tasks on the queue ``control``, one pass of a service each.

Beat asks for the passes through the broker. Because reconcile also repairs the broker, a thread
makes a pass by itself when nobody has made one for three intervals.
"""

import logging
import os
import threading
import time
import warnings
from collections.abc import Callable
from typing import TypeVar

from celery import Celery, signals
from celery.platforms import SecurityWarning

from ffrtmp import bootstrap
from ffrtmp.broker.app import COUNTS_INTERVAL_SECONDS, RETENTION_INTERVAL_SECONDS, control_app
from ffrtmp.broker.messages import COUNTS_TASK, RECONCILE_TASK, RETENTION_TASK
from ffrtmp.broker.refusals import Paced, Refusals
from ffrtmp.config import MasterSettings
from ffrtmp.domain.errors import Unavailable
from ffrtmp.services.farm import Farm

MISSED_INTERVALS = 3
RETENTION_BATCHES = 200
WORKER_OPTIONS = ("--without-gossip", "--without-mingle", "--loglevel=INFO")

T = TypeVar("T")

log = logging.getLogger(__name__)


class Control:
    """The passes of one process, one at a time; an error ends a pass, never the process."""

    def __init__(self, farm: Farm, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._farm = farm
        self.refusals = Refusals()
        self._monotonic = monotonic
        self._passes = threading.Lock()
        self._finished_at = monotonic()

    def reconcile(self) -> None:
        """One reconcile pass."""
        with self._passes:
            if _survives("reconcile", self._farm.reconciler.run_once) is not None:
                self._finished_at = self._monotonic()

    def count(self) -> None:
        """Refresh the numbers that metrics show."""
        with self._passes:
            refused = self.refusals.take()
            _survives("counts", lambda: self._farm.counts.run_once(messages_refused=refused))

    def retain(self) -> None:
        """Remove old history, batch by batch, letting other passes in between."""
        for _ in range(RETENTION_BATCHES):
            with self._passes:
                removed = _survives("retention", self._farm.retention.run_once)
            if not removed or not (removed.jobs or removed.events or removed.submissions):
                return

    def reconcile_if_overdue(self, *, after_seconds: float) -> bool:
        """One pass if neither this process nor any other finished one lately; whether it did."""
        if self._monotonic() - self._finished_at < after_seconds:
            return False
        age = _survives("reconcile", self._farm.reconciler.seconds_since_last_pass)
        # A pass that lies in the future only says that clocks differ.
        if age is not None and 0 <= age < after_seconds:
            return False
        log.warning("no reconcile pass for %.0f s: is the broker away? making one", after_seconds)
        self.reconcile()
        return True


def serve(settings: MasterSettings) -> None:
    """Work until SIGTERM; ``settings.broker`` must be given, and may be away for any time."""
    if settings.broker_url is None:
        raise ValueError("the broker's URL is not settled")
    farm = bootstrap.farm(settings)
    control = Control(farm)
    stop = threading.Event()
    watch = threading.Thread(
        target=_watch,
        args=(control, settings.scheduler_interval, stop),
        name="overdue passes",
        daemon=True,
    )
    watch.start()
    # It warns of pickle run by root; this worker reads nothing but JSON.
    warnings.simplefilter("ignore", SecurityWarning)
    app = control_app(settings.broker_url, scheduler_interval_seconds=settings.scheduler_interval)
    signals.task_rejected.connect(control.refusals.on_rejected)
    add_tasks(app, control, scheduler_interval_seconds=settings.scheduler_interval)
    try:
        app.worker_main(
            ["--quiet", "worker", *WORKER_OPTIONS, f"--hostname=control-{os.getpid()}@%h"]
        )
    finally:
        stop.set()
        watch.join(timeout=5)
        farm.close()


def add_tasks(app: Celery, control: Control, *, scheduler_interval_seconds: float) -> None:
    """Register the three tasks on the app; messages that come faster than beat's ask in vain."""
    for name, act, interval_seconds in (
        (RECONCILE_TASK, control.reconcile, scheduler_interval_seconds),
        (COUNTS_TASK, control.count, COUNTS_INTERVAL_SECONDS),
        (RETENTION_TASK, control.retain, RETENTION_INTERVAL_SECONDS),
    ):
        paced = Paced(act, gap_seconds=interval_seconds / 2, refusals=control.refusals)
        app.task(paced.__call__, name=name)


def _watch(control: Control, interval_seconds: float, stop: threading.Event) -> None:
    while not stop.wait(interval_seconds):
        control.reconcile_if_overdue(after_seconds=MISSED_INTERVALS * interval_seconds)


def _survives(name: str, act: Callable[[], T]) -> T | None:
    try:
        return act()
    except Unavailable as error:
        log.warning("%s: %s", name, error.message)
    except Exception:
        log.exception("%s failed", name)
    return None
