"""A simulated world around the farm's real services and store: time, network, faults.

Everything random comes from one seed, so a failing seed is the whole bug report. Time is a heap
of events; nothing sleeps.
"""

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TypeVar

from ffrtmp.domain.errors import FarmError, Unavailable
from ffrtmp.domain.hint import Hint
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.domain.retry import RetryPolicy
from ffrtmp.services.context import Context
from ffrtmp.services.farm import Farm
from ffrtmp.store.engine import Store
from tests.builders import START
from tests.simulation.broker import SimBroker

T = TypeVar("T")

PASS_SECONDS = 10.0
BEAT_SECONDS = 8.0
RULES = FarmPolicy(
    node_timeout_seconds=45.0,
    max_advance_seconds=10.0,
    max_retries=3,
    retry=RetryPolicy(base_seconds=5.0, cap_seconds=40.0),
    stall_seconds=60.0,
    live_stall_seconds=30.0,
    avoid_seconds=20.0,
)
LOST_ANSWER, LOST_REQUEST = 0.06, 0.03


class Unreachable(Exception):  # noqa: N818
    """No answer: the request may or may not have been carried out."""


class Violation(AssertionError):  # noqa: N818
    """An invariant of the farm does not hold."""


@dataclass
class Disk:
    """Shared storage: whole files by name, each known by its content's hash."""

    files: dict[str, str] = field(default_factory=dict)

    def link(self, name: str, sha256: str) -> bool:
        """Publish without replacing; False where the name is taken."""
        if name in self.files:
            return False
        self.files[name] = sha256
        return True


class World:
    """One seed's run."""

    def __init__(self, seed: int, store: Store) -> None:
        self.rng = random.Random(seed)
        self.seconds = 0.0
        self.clock_skew = 0.0
        self.api_is_up = self.control_is_up = True
        self.disk = Disk()
        self.broker = SimBroker(self.rng, self._nudged)
        self.nudge_targets: dict[str, Callable[[], None]] = {}
        self.hints: dict[str, Hint | None] = {}
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        ids = itertools.count(1)
        self.farm = Farm.over(
            Context(
                store=store,
                bell=self.broker,
                policy=RULES,
                now=self.now,
                new_id=lambda: f"job-{next(ids)}",
                new_secret=lambda: f"lease-{next(ids)}",
                fraction=self.rng.random,
            )
        )
        self.after(0.0, self._control_turn)
        self.after(0.0, self._api_turn)

    def now(self) -> datetime:
        """The master's wall clock, which may be wrong."""
        return START + timedelta(seconds=self.seconds + self.clock_skew)

    def after(self, seconds: float, act: Callable[[], None]) -> None:
        """Do something later."""
        heapq.heappush(self._events, (self.seconds + seconds, next(self._order), act))

    def run(self, *, until: float, stop: Callable[[], bool], check: Callable[[], None]) -> None:
        """Events in order until a time, or until ``stop``; ``check`` after each."""
        while self._events and self._events[0][0] <= until:
            self.seconds, _, act = heapq.heappop(self._events)
            act()
            check()
            if stop():
                return

    def call(self, can_reach: Callable[[], bool], request: Callable[[], T]) -> T:
        """A request over the network to the API: it, or its answer, may get lost."""
        if not (self.api_is_up and can_reach()) or self.rng.random() < LOST_REQUEST:
            raise Unreachable
        try:
            answer = request()
        except Unavailable:
            raise Unreachable from None
        except FarmError:
            if self.rng.random() < LOST_ANSWER:
                raise Unreachable from None
            raise
        if self.rng.random() < LOST_ANSWER:
            raise Unreachable
        return answer

    def jitter(self, seconds: float) -> float:
        """Between half and one and a half of it."""
        return seconds * (0.5 + self.rng.random())

    def _control_turn(self) -> None:
        if self.control_is_up:
            self.farm.reconciler.run_once()
        self.after(PASS_SECONDS, self._control_turn)

    def _api_turn(self) -> None:
        if self.api_is_up:
            self.farm.prove_alive()
        self.after(BEAT_SECONDS, self._api_turn)

    def _nudged(self, node_id: str) -> None:
        target = self.nudge_targets.get(node_id)
        if target is not None:
            self.after(self.jitter(0.1), target)
