"""Keeping the Celery child alive while this node wants hints; no encode depends on it."""

import logging
import os
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from ffrtmp.config import SECRET_VARIABLES, SETTINGS_VARIABLE, Tracing, python_module
from workers.backoff import jittered_delays
from workers.pools import Pool

CHILD_VARIABLE = "FFRTMP_CHILD"
CHILD_MODULE = "workers.celery_child"
POLL_SECONDS = 0.1
HEALTHY_SECONDS = 30.0
FAULTS_ALLOWED = 3
FAULT_SECONDS = 600.0
"""More faults than allowed within this time mean that something ends every child."""
NOT_THE_CHILDS = SECRET_VARIABLES | {
    *(SETTINGS_VARIABLE, "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
}
log = logging.getLogger(__name__)


class ChildSettings(BaseModel):
    """What the child is told, in one environment variable."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    broker_url: str
    pool: Pool
    """Whose hints it carries."""
    queue_names: tuple[str, ...]
    """Best first."""
    concurrency: int
    node_name: str
    socket_path: Path
    parent_pid: int
    tracing: Tracing = Tracing()

    @property
    def hostname(self) -> str:
        """What Celery and Flower call it: no two children of a node are called the same."""
        suffix = "" if self.pool is Pool.CPU else f".{self.pool}"
        return f"celery@{self.node_name}{suffix}"


class Child:
    """One child process at a time: started when wanted, restarted with backoff when it ends.

    A child owns nothing, so it is ended by SIGKILL, which also ends a stopped one. ``run`` must
    stay on one long-lived thread: the kernel's parent-death signal follows the thread that
    started the process. ``started_at`` is the present child's start on the monotonic clock.
    """

    def __init__(self, settings: ChildSettings, *, on_restart: Callable[[], None]) -> None:
        self._settings = settings
        self._on_restart = on_restart
        self._is_wanted = True
        self._is_asked_to_end = False
        self._process: subprocess.Popen[bytes] | None = None
        self.started_at = 0.0
        self._faults: deque[float] = deque(maxlen=100)

    @property
    def is_running(self) -> bool:
        """True while a child process lives."""
        process = self._process
        return process is not None and process.poll() is None

    @property
    def faults(self) -> int:
        """How often lately it ended by itself, or was given up on."""
        oldest = time.monotonic() - FAULT_SECONDS
        return sum(at > oldest for at in tuple(self._faults))

    @property
    def is_failing(self) -> bool:
        """True while it ends again and again."""
        return self.faults > FAULTS_ALLOWED

    def want(self, is_wanted: bool) -> None:
        """Whether hints are to be taken; a child that is not wanted is ended soon."""
        self._is_wanted = is_wanted

    def restart(self, *, is_fault: bool = False) -> None:
        """End the present process, if there is one; another follows at once."""
        process = self._process
        if process is not None:
            self._is_asked_to_end = not is_fault
            process.kill()

    def run(self, stop: threading.Event) -> None:
        """Keep to what is wanted until stopped, then end the child."""
        delays = jittered_delays(base_seconds=0.2, cap_seconds=3.0)
        try:
            while not stop.is_set():
                if not self._is_wanted:
                    self._end()
                elif self._process is None:
                    self._start()
                elif self._process.poll() is not None:
                    if time.monotonic() - self.started_at > HEALTHY_SECONDS:
                        delays = jittered_delays(base_seconds=0.2, cap_seconds=3.0)
                    self._bury()
                    stop.wait(next(delays))
                stop.wait(POLL_SECONDS)
        finally:
            self._end()

    def _start(self) -> None:
        environment = {k: v for k, v in os.environ.items() if k not in NOT_THE_CHILDS}
        environment[CHILD_VARIABLE] = self._settings.model_dump_json()
        # Its own session: a Ctrl-C in the agent's terminal is the agent's to decide on.
        self._process = subprocess.Popen(
            python_module(CHILD_MODULE),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=2,
            start_new_session=True,
        )
        self.started_at = time.monotonic()
        self._is_asked_to_end = False
        log.info("Celery child %d listens to %s", self._process.pid, self._settings.queue_names)

    def _bury(self) -> None:
        if self._process is None:
            return
        if not self._is_asked_to_end:
            self._faults.append(time.monotonic())
        log.log(
            logging.ERROR if self.is_failing else logging.WARNING,
            "Celery child ended with %s, at fault %d times in %.0f minutes; restarting it",
            self._process.returncode,
            self.faults,
            FAULT_SECONDS / 60,
        )
        self._process = None
        self._on_restart()

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        self._process = None
