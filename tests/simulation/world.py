"""A simulated world around the farm's real services and store: time, parts, and what joins them.

Everything random comes from one seed, so a failing seed is the whole bug report. Time is a heap
of events; nothing sleeps.
"""

import contextlib
import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.hint import Hint
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.domain.retry import RetryPolicy
from ffrtmp.services.context import Context
from ffrtmp.services.farm import Farm
from tests.builders import START
from tests.simulation.broker import SimBroker
from tests.simulation.database import Died, SimStore
from tests.simulation.network import Network

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
    set_aside_after=3,
    canary_after_seconds=15.0,
)
PREEMPTS, AGES = 0.5, 0.3
MAX_WAITS = (40.0, 120.0)
PASS_DIES, PASS_IS_LATE = 0.05, 0.05
MEANWHILE, SECOND_PASS = 0.15, 0.2
TRANSACTIONS_OF_A_PASS = 10


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
    """One seed's run. ``control_workers`` is how many make passes, 0 where control is away."""

    def __init__(self, seed: int, store: SimStore) -> None:
        self.rng = random.Random(seed)
        self.seconds = 0.0
        self.clock_skew = 0.0
        self.clock_jumps: list[float] = []
        self.control_workers = 1
        self.rules = _rules(self.rng)
        self.store = store
        self.store.begin(self.rng)
        self.disk = Disk()
        self.broker = SimBroker(self.rng, self._nudged)
        self.network = Network(self.rng, self.after)
        self.nudge_targets: dict[str, Callable[[], None]] = {}
        self.hints: dict[str, Hint | None] = {}
        self.in_a_pass: list[Callable[[], None]] = []
        """What happens in the middle of some later pass."""
        self.look: Callable[[], None] = lambda: None
        """Checks what was done so far, before something else happens in the same instant."""
        self._events: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._is_in_pass = False
        ids = itertools.count(1)
        self.farm = Farm.over(
            Context(
                store=store,
                bell=self.broker,
                policy=self.rules,
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

    def step_clock(self, seconds: float) -> None:
        """The master's wall clock jumps."""
        self.clock_skew += seconds
        self.clock_jumps.append(self.seconds)

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

    def jitter(self, seconds: float) -> float:
        """Between half and one and a half of it."""
        return seconds * (0.5 + self.rng.random())

    def make_pass(self) -> None:
        """One reconcile pass. It may die in the middle; requests arrive in between, and the pass
        of a second worker."""
        store, rng = self.store, self.rng
        if rng.random() < PASS_DIES:
            store.dies_after = rng.randrange(TRANSACTIONS_OF_A_PASS)
        self._is_in_pass, store.between = True, self._meanwhile
        try:
            self.farm.reconciler.run_once()
        except (Died, Unavailable):
            return
        finally:
            store.dies_after, store.between = None, lambda: None
            self._is_in_pass = False

    def _meanwhile(self) -> None:
        if self.rng.random() >= MEANWHILE:
            return
        self.store.between = lambda: None
        self.look()
        try:
            if self.in_a_pass:
                self.in_a_pass.pop()()
            elif self.control_workers > 1 and self.rng.random() < SECOND_PASS:
                self.farm.reconciler.run_once()
            else:
                self.network.deliver_one_of_the_late()
        finally:
            self.store.between = self._meanwhile

    def _control_turn(self) -> None:
        for _ in range(self.control_workers):
            self.after(self.rng.uniform(0.0, 1.0), self.make_pass)
        late = self.rng.uniform(0.0, 60.0) if self.rng.random() < PASS_IS_LATE else 0.0
        self.after(PASS_SECONDS + late, self._control_turn)

    def _api_turn(self) -> None:
        if self.network.api_is_up:
            with contextlib.suppress(Unavailable):
                self.farm.prove_alive()
        self.after(BEAT_SECONDS, self._api_turn)

    def _nudged(self, node_id: str) -> None:
        target = self.nudge_targets.get(node_id)
        if target is not None:
            self.after(self.jitter(0.1), target)


def _rules(rng: random.Random) -> FarmPolicy:
    """Those of one farm: some make room for live jobs, in some waiting raises ranks."""
    max_wait = rng.choice(MAX_WAITS) if rng.random() < AGES else None
    return replace(RULES, preempts_batch=rng.random() < PREEMPTS, max_wait_seconds=max_wait)
