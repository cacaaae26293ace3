"""One run of ffmpeg: its own process group, watched, bounded, and gone when it should be."""

import codecs
import contextlib
import os
import selectors
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.box.view import EVERYTHING, Command, View
from workers.ffmpeg import leash
from workers.ffmpeg.child import (
    MINIMAL_ENVIRONMENT,
    NO_ENVIRONMENT,
    UNCONFINED,
    Confinement,
    dying_with_parent,
)
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.progress import Progress, ProgressReader
from workers.ffmpeg.started import ProcessIdentity, start_identity

_CHUNK_BYTES: Final = 1 << 16
_MAX_LINE_CHARACTERS: Final = 4096
_MINDED_SIGNALS: Final = frozenset(
    {
        *(signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE),
        *(signal.SIGILL, signal.SIGXFSZ, signal.SIGXCPU),
    }
)
_DRAIN_SECONDS: Final = 1.0
"""How long output may still come after the end from somebody who inherited the pipes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessEnd:
    """How a run ended: by exit code or by signal, never both; neither if it never started."""

    exit_code: int | None
    signal: int | None
    timed_out: bool
    """The run passed ``timeout_seconds`` and was ended for it."""
    stopped: bool
    """``stop`` was called before it ended."""


class FfmpegProcess:
    """Runs one argv once. ``start`` and ``run`` belong to one thread, all else to any.

    The process dies with the *thread* that starts it (see ``child.dying_with_parent``): run it
    in a thread that stays until ``run`` returns.
    """

    def __init__(
        self,
        argv: Sequence[str],
        *,
        timeout_seconds: float | None = None,
        grace_seconds: float = 2.0,
        working_directory: Path | None = None,
        leash_until: float | None = None,
        environment: Mapping[str, str] = NO_ENVIRONMENT,
        tools: Iterable[Path] = (),
    ) -> None:
        """``grace_seconds`` lie between SIGTERM and SIGKILL when the time-out ends the run.

        ``environment`` is the process's beside what every child gets, ``tools`` are files that it
        needs and are no media.

        ``timeout_seconds`` counts only while the run is not suspended.

        With ``leash_until`` (boot seconds) it is killed then, whatever becomes of this process,
        unless ``extend`` has named a later time; it ends with leash.EXIT_EXPIRED.
        """
        self._argv = tuple(argv)
        self._confinement = UNCONFINED
        self._view: View = EVERYTHING
        self._tools = tuple(tools)
        self._is_minded = False
        self._leash_until = leash_until
        self._environment = {**MINIMAL_ENVIRONMENT, **environment}
        self.timeout_seconds = timeout_seconds
        self._grace_seconds = grace_seconds
        self._working_directory = working_directory
        self._popen: subprocess.Popen[bytes] | None = None
        self._identity: ProcessIdentity | None = None
        self._lock = threading.Condition(threading.RLock())
        self._reader = ProgressReader()
        self._has_ended = False
        self._pumped = False
        self._stopped = False
        self._timed_out = False
        self._kill_at: float | None = None
        self._started_at = 0.0
        self._suspended_at: float | None = None
        self._suspended_before = 0.0
        self._latest: Progress | None = None

    @property
    def identity(self) -> ProcessIdentity | None:
        """The started process, for the crash journal; None before ``start``."""
        return self._identity

    @property
    def suspended_seconds(self) -> float:
        """How long it has been suspended so far, in all."""
        with self._lock:
            if self._suspended_at is None:
                return self._suspended_before
            return self._suspended_before + time.monotonic() - self._suspended_at

    def confine(self, confinement: Confinement, view: View = EVERYTHING) -> None:
        """Hold it by this from its start, and let it see this; before ``start``."""
        self._confinement = confinement
        self._view = view

    def start(self) -> ProcessIdentity | None:
        """Start it and say who it is; None if ``stop`` came first. OSError if it cannot start."""
        with self._lock:
            if self._stopped:
                return None
            if self._identity is not None:
                raise RuntimeError("a process runs once")
            is_leashed = self._leash_until is not None
            command = self._command()
            self._is_minded = command.is_minded
            self._popen = subprocess.Popen(
                (*_leash(self._leash_until), *command.argv),
                stdin=subprocess.PIPE if is_leashed else subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                env=dict(command.environment),
                cwd=command.working_directory,
                pass_fds=command.descriptors,
                start_new_session=True,
                preexec_fn=dying_with_parent(confinement=self._confinement),
            )
            self._started_at = time.monotonic()
            pid = self._popen.pid
            self._identity = ProcessIdentity(pid=pid, start_identity=start_identity(pid) or "")
            return self._identity

    def _command(self) -> Command:
        return self._view.command(
            self._argv,
            environment=self._environment,
            working_directory=self._working_directory,
            tools=self._tools,
        )

    def extend(self, until: float) -> None:
        """Let a leashed process live until these boot seconds; from any thread."""
        with self._lock:
            pipe = self._popen.stdin if self._popen is not None else None
            if pipe is not None and not self._has_ended:
                with contextlib.suppress(OSError):
                    pipe.write(f"{until}\n".encode())

    def run(self, on_progress: Callable[[Progress], None], log: BoundedLog) -> ProcessEnd:
        """Wait for the end, starting it first if need be; the whole group is gone afterwards.

        ``on_progress`` is called in this thread with the newest block; blocks that come while
        it works are skipped, so a slow one delays neither ffmpeg nor a stop.
        """
        if self._popen is None and self.start() is None:
            return ProcessEnd(exit_code=None, signal=None, timed_out=False, stopped=True)
        assert self._popen is not None  # noqa: S101 - start either set it or raised
        pump = threading.Thread(
            target=self._pump, args=(self._popen, log), name="ffmpeg-pump", daemon=True
        )
        pump.start()
        try:
            while (progress := self._next_progress()) is not None:
                on_progress(progress)
        finally:
            self._signal_group(signal.SIGKILL)
            pump.join()
            returncode = self._reap(self._popen)
            if self._popen.stdin is not None:
                self._popen.stdin.close()
        return self._end(returncode)

    def stop(self, grace_seconds: float) -> None:
        """Ask the group to end, and kill it after the grace; returns at once, from any thread."""
        with self._lock:
            self._stopped = not self._has_ended or self._stopped
            self._ask_to_end(grace_seconds)

    def suspend(self) -> None:
        """Hold the whole group where it stands until ``resume``, or until it is told to end.

        Nothing happens where it has not started, is held already, or is ending. RuntimeError for
        a leashed process: its leash would be held with it, and could end nothing.
        """
        if self._leash_until is not None:
            raise RuntimeError("a process on a leash cannot be suspended")
        with self._lock:
            is_running = self._popen is not None and not self._has_ended and self._kill_at is None
            if is_running and self._suspended_at is None:
                self._suspended_at = time.monotonic()
                self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """Let a suspended group go on; nothing where it is not suspended."""
        with self._lock:
            if self._suspended_at is not None:
                self._suspended_before = self.suspended_seconds
                self._suspended_at = None
                self._signal_group(signal.SIGCONT)

    def close(self) -> None:
        """Kill and reap a started process that ``run`` will not be called for; else nothing."""
        self._signal_group(signal.SIGKILL)
        if self._popen is not None and self._popen.returncode is None:
            self._reap(self._popen)
            for pipe in (self._popen.stdin, self._popen.stdout, self._popen.stderr):
                if pipe is not None:
                    pipe.close()

    def _ask_to_end(self, grace_seconds: float) -> None:
        with self._lock:
            kill_at = time.monotonic() + max(0.0, grace_seconds)
            self._kill_at = kill_at if self._kill_at is None else min(self._kill_at, kill_at)
        self._signal_group(signal.SIGTERM if grace_seconds > 0 else signal.SIGKILL)
        self.resume()  # what is suspended hears a SIGTERM only when it goes on

    def _reap(self, popen: subprocess.Popen[bytes]) -> int:
        with self._lock:  # whoever signals the group must not see the id freed in between
            return popen.wait()

    def _end(self, returncode: int) -> ProcessEnd:
        if self._is_minded:
            returncode = own_end(returncode)
        return ProcessEnd(
            exit_code=returncode if returncode >= 0 else None,
            signal=-returncode if returncode < 0 else None,
            timed_out=self._timed_out,
            stopped=self._stopped,
        )

    def _next_progress(self) -> Progress | None:
        with self._lock:
            self._lock.wait_for(lambda: self._latest is not None or self._pumped)
            progress, self._latest = self._latest, None
            return progress

    def _signal_group(self, number: signal.Signals) -> None:
        """Signal the group while its leader is ours: until reaped, its id is nobody else's."""
        with self._lock:
            if self._popen is None or self._popen.returncode is not None:
                return
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._popen.pid, number)

    def _pump(self, popen: subprocess.Popen[bytes], log: BoundedLog) -> None:
        """Move output, keep the times, and clear the group when its leader ends."""
        assert popen.stdout is not None  # noqa: S101
        assert popen.stderr is not None  # noqa: S101
        ended = os.pidfd_open(popen.pid)
        lines = _Lines(self._on_line)
        sinks = {popen.stdout.fileno(): lines.feed, popen.stderr.fileno(): _text_into(log)}
        with selectors.DefaultSelector() as selector:
            for descriptor in (*sinks, ended):
                selector.register(descriptor, selectors.EVENT_READ)
            try:
                self._move(selector, sinks, ended)
            finally:
                os.close(ended)
                popen.stdout.close()
                popen.stderr.close()
                with self._lock:
                    self._pumped = True
                    self._lock.notify_all()

    def _move(
        self,
        selector: selectors.BaseSelector,
        sinks: dict[int, Callable[[bytes], None]],
        ended: int,
    ) -> None:
        open_sinks = set(sinks)
        drain_until: float | None = None
        while drain_until is None or (open_sinks and time.monotonic() < drain_until):
            for key, _ in selector.select(timeout=0.1):
                if key.fd == ended:
                    selector.unregister(ended)
                    drain_until = time.monotonic() + _DRAIN_SECONDS
                    self._on_leader_ended()
                    continue
                data = os.read(key.fd, _CHUNK_BYTES)
                sinks[key.fd](data)
                if not data:
                    selector.unregister(key.fd)
                    open_sinks.discard(key.fd)
            self._keep_times()

    def _on_leader_ended(self) -> None:
        with self._lock:
            self._has_ended = True
            self._signal_group(signal.SIGKILL)
            self.resume()

    def _keep_times(self) -> None:
        now = time.monotonic()
        with self._lock:
            if self._has_ended:
                return
            if self._kill_at is not None and now >= self._kill_at:
                self._signal_group(signal.SIGKILL)
            limit, spent = self.timeout_seconds, now - self._started_at - self.suspended_seconds
            if limit is not None and spent >= limit and not self._timed_out:
                self._timed_out = True
                self._ask_to_end(self._grace_seconds)

    def _on_line(self, line: str) -> None:
        progress = self._reader.feed(line)
        if progress is not None:
            with self._lock:
                self._latest = progress
                self._lock.notify_all()


def _leash(until: float | None) -> tuple[str, ...]:
    return () if until is None else (sys.executable, "-I", "-S", leash.__file__, str(until))


class _Lines:
    """Cuts bytes into lines; of a line without end only the first characters are kept."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._rest = ""
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, data: bytes) -> None:
        """Take bytes; empty ones are the end."""
        *lines, rest = (self._rest + self._decoder.decode(data, final=not data)).split("\n")
        for line in lines:
            self._on_line(line[:_MAX_LINE_CHARACTERS])
        self._rest = rest[:_MAX_LINE_CHARACTERS]


def _text_into(log: BoundedLog) -> Callable[[bytes], None]:
    decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(data: bytes) -> None:
        log.append(decoder.decode(data, final=not data))

    return feed


def own_end(returncode: int) -> int:
    """The return code of a process by that of the one that minded it, which ends by 128 and N
    where signal N ended the other.

    Only signals that a crash or a limit has: other codes above 128 ffmpeg itself ends with.
    """
    return 128 - returncode if returncode - 128 in _MINDED_SIGNALS else returncode
