"""Asking for work without a hint, for as long as the broker cannot bring any."""

import threading
from collections.abc import Callable


class Poller:
    """Claims into every free slot once per ``interval_seconds`` while no hints can arrive."""

    def __init__(
        self,
        *,
        interval_seconds: float,
        hints_arrive: Callable[[], bool],
        start_attempt: Callable[[], bool],
    ) -> None:
        self._interval_seconds = interval_seconds
        self._hints_arrive = hints_arrive
        self._start_attempt = start_attempt
        self._asked = threading.Event()

    def look_now(self) -> None:
        """A slot has become free: do not wait for the interval."""
        self._asked.set()

    def run(self, stop: threading.Event) -> None:
        """Poll until stopped."""
        while not stop.is_set():
            self._asked.wait(self._interval_seconds)
            self._asked.clear()
            if not stop.is_set():
                self.run_pass()

    def run_pass(self) -> int:
        """How many attempts were started; none where the broker serves."""
        started = 0
        while not self._hints_arrive() and self._start_attempt():
            started += 1
        return started
