"""Runs the processes of a farm on one machine and keeps them running.

Everything here happens on the main thread: the kernel sends a parent-death signal when the
*thread* that forked ends, so a child forked by a worker thread would die with that thread.
"""

import ctypes
import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from types import FrameType, TracebackType
from typing import IO, Self

FIRST_DELAY_SECONDS = 0.5
LONGEST_DELAY_SECONDS = 30.0
HEALTHY_AFTER_SECONDS = 60.0
SETTLED_AFTER_SECONDS = 1.0
START_TRIES = 3
POLL_SECONDS = 0.05
LOG_LIMIT_BYTES = 10 * 1024 * 1024
TAIL_LINES = 15
REFUSED = 2
"""The exit status of a part that will not start with these settings, however often it is tried."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


class StartFailed(Exception):  # noqa: N818
    """A part did not come up; the text names it and ends with what it last said."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """One process of the farm."""

    name: str
    argv: Sequence[str]
    environment: Mapping[str, str]
    """The whole environment; nothing is added to it."""
    stop_seconds: float = 10.0
    """From SIGTERM to SIGKILL of its whole process group."""
    ready: Callable[[], bool] | None = None
    """Whether it serves now; None takes a started process for a ready one."""
    ready_seconds: float = 30.0
    rereads: bool = False
    """Whether SIGHUP makes it read its files again."""
    stage: int = 0
    """Stages stop from the highest down, the parts of one stage at the same time."""
    death_signal: signal.Signals = signal.SIGKILL
    """What it gets when the supervisor is killed outright.

    SIGKILL leaves nothing behind whatever state the part is in, and every part of the farm is
    built to be killed. An agent takes SIGTERM instead: it handles it, always ends within its
    drain time, and hands its attempts back unharmed.
    """


@dataclass(slots=True)
class _Child:
    part: Part
    process: subprocess.Popen[bytes] | None = None
    started_at: float = 0.0
    delay_seconds: float = FIRST_DELAY_SECONDS
    due_at: float = 0.0
    is_settled: bool = False
    early_deaths: int = field(default=0)


class Supervisor:
    """Starts parts in order, restarts what dies, stops them in reverse; leaves no process."""

    def __init__(
        self,
        parts: Sequence[Part],
        log: logging.Logger,
        *,
        log_directory: Path | None = None,
        on_restart: Callable[[dict[str, int]], None] | None = None,
    ) -> None:
        """``log_directory`` takes ``<name>.log`` of each part; without it they share stderr.

        stderr is inherited rather than piped and prefixed: a part must not block on a pipe
        nobody reads, nor lose its last words when the supervisor dies.
        """
        self._children = [_Child(part) for part in parts]
        self._log = log
        self._log_directory = log_directory
        self._on_restart = on_restart
        self._is_hurried = False
        self._is_reread_asked = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()

    def pids(self) -> dict[str, int]:
        """Process ids of the parts that run now, by name."""
        return {
            child.part.name: child.process.pid
            for child in self._children
            if child.process is not None
        }

    def start(self, stop: threading.Event) -> None:
        """Start every part, each after the one before is ready; StartFailed stops them all.

        Returns early when ``stop`` is set.
        """
        try:
            for child in self._children:
                if not self._bring_up(child, stop):
                    return
        except BaseException:
            self.stop()
            raise

    def run(self, stop: threading.Event) -> None:
        """Restart what dies until ``stop`` is set; StartFailed if a part never gets to live."""
        while not stop.is_set():
            if sum(self._tend(child) for child in self._children) and self._on_restart:
                self._on_restart(self.pids())
            self._pass_on_reread()
            # Not stop.wait(): a signal handler that sets the event while this thread holds the
            # event's lock would wait for itself for ever.
            time.sleep(POLL_SECONDS)

    def stop(self) -> None:
        """SIGTERM, stage by stage from the highest; SIGKILL to the group of whoever stays."""
        ordered = sorted(self._children, key=lambda child: -child.part.stage)
        for _, stage in groupby(ordered, key=lambda child: child.part.stage):
            self._stop_together([child for child in stage if child.process is not None])

    def hurry(self) -> None:
        """Make a stop, now or later, kill at once; safe in a signal handler."""
        self._is_hurried = True

    def ask_reread(self) -> None:
        """Make ``run`` send SIGHUP to whoever rereads; safe in a signal handler or a thread."""
        self._is_reread_asked = True

    def _pass_on_reread(self) -> None:
        if self._is_reread_asked:
            self._is_reread_asked = False
            for child in self._children:
                if child.part.rereads:
                    _signal(child, signal.SIGHUP)

    def _bring_up(self, child: _Child, stop: threading.Event) -> bool:
        for _ in range(START_TRIES):
            self._spawn(child)
            if self._becomes_ready(child, stop):
                child.is_settled = child.part.ready is not None
                return True
            if stop.is_set():
                return False
            status = self._reap(child)
            if status == REFUSED:
                break
            time.sleep(FIRST_DELAY_SECONDS)
        raise self._start_failed(child, f"ended with status {status} before it was ready")

    def _becomes_ready(self, child: _Child, stop: threading.Event) -> bool:
        deadline = time.monotonic() + child.part.ready_seconds
        while not stop.is_set() and not _has_ended(child):
            if child.part.ready is None or child.part.ready():
                return True
            if time.monotonic() > deadline:
                seconds = child.part.ready_seconds
                raise self._start_failed(child, f"was not ready after {seconds:.0f} s")
            time.sleep(POLL_SECONDS)
        return False

    def _tend(self, child: _Child) -> bool:
        now = time.monotonic()
        if child.process is None:
            if now < child.due_at:
                return False
            self._spawn(child)
            return True
        if not _has_ended(child):
            child.is_settled |= now - child.started_at >= SETTLED_AFTER_SECONDS
            return False
        lived_seconds = now - child.started_at
        self._plan_restart(child, self._reap(child), lived_seconds)
        return False

    def _plan_restart(self, child: _Child, status: int, lived_seconds: float) -> None:
        if not child.is_settled:
            child.early_deaths += 1
            if child.early_deaths >= START_TRIES or status == REFUSED:
                raise self._start_failed(child, f"ended with status {status} at its start")
        if lived_seconds >= HEALTHY_AFTER_SECONDS:
            child.delay_seconds = FIRST_DELAY_SECONDS
        child.due_at = time.monotonic() + child.delay_seconds
        self._log.warning(
            "%s ended with status %d; restarting in %.1f s",
            child.part.name,
            status,
            child.delay_seconds,
        )
        child.delay_seconds = min(2 * child.delay_seconds, LONGEST_DELAY_SECONDS)

    def _spawn(self, child: _Child) -> None:
        output = self._open_log(child.part)
        try:
            child.process = subprocess.Popen(
                list(child.part.argv),
                env=dict(child.part.environment),
                stdin=subprocess.DEVNULL,
                stdout=output or 2,
                stderr=output or 2,
                start_new_session=True,
                preexec_fn=_dies_with(os.getpid(), child.part.death_signal),
            )
        except OSError as error:
            raise StartFailed(f"{child.part.name}: {error}") from error
        finally:
            if output:
                output.close()
        child.started_at = time.monotonic()

    def _open_log(self, part: Part) -> IO[bytes] | None:
        path = self._log_path(part)
        if path is None:
            return None
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and path.stat().st_size > LOG_LIMIT_BYTES:
            path.replace(path.with_suffix(".log.1"))
        return path.open("ab")

    def _log_path(self, part: Part) -> Path | None:
        return self._log_directory / f"{part.name}.log" if self._log_directory else None

    def _start_failed(self, child: _Child, what: str) -> StartFailed:
        path = self._log_path(child.part)
        tail = _last_lines(path) if path else ""
        return StartFailed(f"{child.part.name} {what}" + (f":\n{tail}" if tail else ""))

    def _stop_together(self, children: Sequence[_Child]) -> None:
        started_at = time.monotonic()
        for child in children:
            _signal(child, signal.SIGTERM)
        waiting = list(children)
        while waiting:
            elapsed_seconds = time.monotonic() - started_at
            for child in waiting:
                if self._is_hurried or elapsed_seconds > child.part.stop_seconds:
                    _kill_group(child)
                if _has_ended(child):
                    self._reap(child)
            waiting = [child for child in waiting if child.process is not None]
            if waiting:
                time.sleep(POLL_SECONDS)

    def _reap(self, child: _Child) -> int:
        """Collect an ended child after killing what is left of its group; its exit status."""
        if child.process is None:
            return 0
        # Before the wait: until then the group's number cannot belong to anybody else.
        _kill_group(child)
        status = child.process.wait()
        child.process = None
        return status


def stop_on_signals(supervisor: Supervisor) -> threading.Event:
    """The event that SIGINT and SIGTERM set from now on; a second one makes the stop immediate."""
    stop = threading.Event()

    def handle(_number: int, _frame: FrameType | None) -> None:
        if stop.is_set():
            supervisor.hurry()
        stop.set()

    signal.signal(signal.SIGINT, handle)
    signal.signal(signal.SIGTERM, handle)
    return stop


def _dies_with(parent_pid: int, death_signal: signal.Signals) -> Callable[[], None]:
    def in_child() -> None:
        _libc.prctl(_PR_SET_PDEATHSIG, int(death_signal), 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before the call above
            os._exit(1)

    return in_child


def _has_ended(child: _Child) -> bool:
    if child.process is None:
        return True
    # WNOWAIT leaves the zombie, and with it the process group's number.
    return os.waitid(os.P_PID, child.process.pid, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None


def _signal(child: _Child, number: signal.Signals) -> None:
    if child.process is not None and not _has_ended(child):
        os.kill(child.process.pid, number)


def _kill_group(child: _Child) -> None:
    if child.process is None:
        return
    try:
        os.killpg(child.process.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return  # nobody is left in it


def _last_lines(path: Path) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - 8192))
        lines = file.read().decode(errors="replace").splitlines()
    return "\n".join(lines[-TAIL_LINES:])
