"""The farm's real services over a real store, in virtual time: a heap of events, no sleep."""

import heapq
import itertools
import random
from collections.abc import Callable
from datetime import datetime, timedelta

from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.services.context import Context
from ffrtmp.services.farm import Farm
from tests.builders import START
from tests.order.bell import MemoryBell
from tests.simulation.database import SimStore

TICKS = 64
"""Of a second. All times are whole ticks: exact as floats and as microseconds, so that the model
and the code under test never differ by rounding."""
PASS_SECONDS = 5.0
PATIENCE_SECONDS = 5.0


class Calm(random.Random):
    """Draws for a database to which nothing happens."""

    def random(self) -> float:
        """Above every chance of a fault."""
        return 1.0


class World:
    """Time, the store, the bell and the services; one for each run."""

    def __init__(self, seed: int, rules: FarmPolicy) -> None:
        self.rng = random.Random(seed)
        self.rules = rules
        self.seconds = 0.0
        self.store = SimStore()
        self.store.begin(Calm())
        self.bell = MemoryBell(window=rules.hint_window, on_nudge=self._nudge)
        self.nudged: dict[str, Callable[[], None]] = {}
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        ids = itertools.count(1)
        self.farm = Farm.over(
            Context(
                store=self.store,
                bell=self.bell,
                policy=rules,
                now=self.now,
                new_id=lambda: f"job-{next(ids)}",
                new_secret=lambda: f"lease-{next(ids)}",
                fraction=lambda: self.rng.randrange(TICKS) / TICKS,
            )
        )

    def now(self) -> datetime:
        """The master's wall clock."""
        return START + timedelta(seconds=self.seconds)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later, on a tick."""
        self.at(self.seconds + seconds, act)

    def at(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something at a time, on the next tick."""
        on_a_tick = -(-seconds * TICKS // 1) / TICKS
        heapq.heappush(self._heap, (on_a_tick, next(self._order), act))

    def run(self, *, until: float, is_over: Callable[[], bool]) -> None:
        """Events in order until a time, or until it is over."""
        while self._heap and self._heap[0][0] <= until and not is_over():
            self.seconds, _, act = heapq.heappop(self._heap)
            act()

    def moment(self, stored: str | None) -> float | None:
        """A time as a row holds it, in seconds of this world."""
        if stored is None:
            return None
        return (datetime.fromisoformat(stored) - START.replace(tzinfo=None)).total_seconds()

    def _nudge(self, node_id: str) -> None:
        beat = self.nudged.get(node_id)
        if beat is not None:
            self.after(0.1, beat)
