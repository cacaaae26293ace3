"""Making an attempt stand still: its process, and the clock that its own limits go by."""

import threading
import time
from collections.abc import Callable
from typing import Protocol


class Suspendable(Protocol):
    """A process that can be stopped and continued; neither raises where it has ended."""

    def suspend(self) -> object:
        """Stop it."""
        ...

    def resume(self) -> object:
        """Let it continue."""
        ...


class Suspension:
    """Whether one attempt stands still; from any thread.

    An order to pause that comes before there is a process to suspend is kept until there is one.
    After ``end`` all orders are ignored: what remains to be done takes no slot's worth of work.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._is_wanted = False
        self._is_over = False
        self._process: Suspendable | None = None
        self._told: Callable[[bool], None] | None = None
        self._since: float | None = None
        self._seconds = 0.0

    @property
    def is_on(self) -> bool:
        """True while the process is suspended."""
        return self._since is not None

    @property
    def has_been_on(self) -> bool:
        """True once the process was suspended."""
        return self._since is not None or self._seconds > 0

    def clock(self) -> float:
        """The monotonic clock less all the time that the process was suspended."""
        with self._lock:
            return (time.monotonic() if self._since is None else self._since) - self._seconds

    def listen(self, told: Callable[[bool], None]) -> None:
        """``told`` hears True after the process was suspended, False before it continues."""
        with self._lock:
            self._told = told

    def attach(self, process: Suspendable) -> None:
        """There is a process now; suspended at once where that was ordered before."""
        with self._lock:
            self._process = process
            self._settle()

    def detach(self) -> None:
        """The process has ended; an order to pause waits for the next one."""
        with self._lock:
            if self._since is not None:
                self._tell(False)
                self._seconds += time.monotonic() - self._since
                self._since = None
            self._process = None

    def pause(self) -> None:
        """Suspend it, now or as soon as it is there."""
        with self._lock:
            self._is_wanted = not self._is_over
            self._settle()

    def go_on(self) -> None:
        """Let it continue."""
        with self._lock:
            self._is_wanted = False
            self._settle()

    def end(self) -> None:
        """Let it continue, for good."""
        with self._lock:
            self._is_wanted, self._is_over = False, True
            self._settle()

    def _settle(self) -> None:
        if self._process is None:
            return
        if self._is_wanted and self._since is None:
            self._process.suspend()
            self._since = time.monotonic()
            self._tell(True)
        elif not self._is_wanted and self._since is not None:
            self._tell(False)
            self._process.resume()
            self._seconds += time.monotonic() - self._since
            self._since = None

    def _tell(self, is_suspended: bool) -> None:
        if self._told is not None:
            self._told(is_suspended)
