"""Asking for work without a hint, for as long as the broker cannot bring any."""

import threading
from collections.abc import Callable, Sequence

from workers.pools import Pool


class Poller:
    """Claims into every free slot of a pool once per ``interval_seconds`` while no hints can
    arrive for it."""

    def __init__(
        self,
        pools: Sequence[Pool],
        *,
        interval_seconds: float,
        hints_arrive: Callable[[Pool], bool],
        start_attempt: Callable[[Pool], bool],
    ) -> None:
        self._pools = tuple(pools)
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
        return sum(self._fill(pool) for pool in self._pools)

    def _fill(self, pool: Pool) -> int:
        started = 0
        while not self._hints_arrive(pool) and self._start_attempt(pool):
            started += 1
        return started
