"""Asking for work without a hint, where none may come."""

import threading
from collections.abc import Callable, Collection, Sequence

from workers.pools import Pool


class Poller:
    """Claims into every free slot of a pool once per ``interval_seconds`` while no hints can
    arrive for it.

    Into one that has just become free on a GPU it claims at once: the hints of jobs that run on
    any hardware lie in the queues of CPUs, and only a reconcile pass would ring for the GPU.
    """

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
        self._freed: set[Pool] = set()
        self._asked = threading.Event()

    def look_now(self, freed: Pool | None = None) -> None:
        """Do not wait for the interval; ``freed`` is a pool of which a slot has become free."""
        if freed is not None:
            self._freed.add(freed)
        self._asked.set()

    def run(self, stop: threading.Event) -> None:
        """Poll until stopped."""
        while not stop.is_set():
            self._asked.wait(self._interval_seconds)
            self._asked.clear()
            freed, self._freed = self._freed, set()
            if not stop.is_set():
                self.run_pass(freed)

    def run_pass(self, freed: Collection[Pool] = ()) -> int:
        """How many attempts were started; none where the broker serves."""
        return sum(self._fill(pool, is_freed=pool in freed) for pool in self._pools)

    def _fill(self, pool: Pool, *, is_freed: bool) -> int:
        started = 0
        is_due = is_freed and pool.is_gpu
        while (is_due or not self._hints_arrive(pool)) and self._start_attempt(pool):
            started += 1
        return started
