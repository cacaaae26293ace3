"""Fakes of the world: a bell that keeps its hints, a clock that a test moves."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.hint import Hint
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.services.context import Context
from ffrtmp.services.farm import Farm
from ffrtmp.store.engine import Store
from ffrtmp.store.tables import metadata
from tests.builders import START


def emptied(store: Store) -> Store:
    """The same store without a row but the clock's: quicker than making another one."""
    with store.write() as tx:
        for table in metadata.sorted_tables:
            tx.clock._db.execute(table.delete())
        tx.clock.create(START)
    return store


@dataclass
class FakeBell:
    """Keeps hints and nudges; ``is_up`` False behaves like a broker that is away."""

    hints: list[Hint] = field(default_factory=list)
    nudged: list[str] = field(default_factory=list)
    is_up: bool = True

    def ring(self, hint: Hint) -> bool:
        if self.is_up:
            self.hints.append(hint)
        return self.is_up

    def waiting(self, queue_name: str) -> int:
        self._answer()
        return sum(hint.queue_name == queue_name for hint in self.hints)

    def push(self, hints: Sequence[Hint]) -> int:
        self._answer()
        self.hints.extend(hints)
        return len(hints)

    def nudge(self, node_id: str) -> None:
        if self.is_up:
            self.nudged.append(node_id)

    def _answer(self) -> None:
        if not self.is_up:
            raise Unavailable("the broker is away")


@dataclass
class FakeClock:
    """Aware UTC time that moves only when told."""

    moment: datetime = START

    def __call__(self) -> datetime:
        return self.moment

    def pass_seconds(self, seconds: float) -> None:
        self.moment += timedelta(seconds=seconds)


@dataclass
class FakeWorld:
    """A farm of real services over a real store, in a world that the test moves."""

    farm: Farm
    bell: FakeBell
    clock: FakeClock

    @classmethod
    def over(cls, store: Store, rules: FarmPolicy) -> "FakeWorld":
        bell, clock = FakeBell(), FakeClock()
        ids = iter(range(1, 1_000_000))
        context = Context(
            store=store,
            bell=bell,
            policy=rules,
            now=clock,
            new_id=lambda: f"00000000-0000-7000-8000-{next(ids):012d}",
            new_secret=lambda: f"secret-{next(ids):012d}",
            fraction=lambda: 0.5,
        )
        return cls(farm=Farm.over(context), bell=bell, clock=clock)

    def pass_farm_seconds(self, seconds: float, *, step: float = 5.0) -> None:
        """Let time pass with API and control alive: a pass each step."""
        passed = 0.0
        while passed < seconds:
            self.clock.pass_seconds(step)
            self.farm.prove_alive()
            self.farm.reconciler.run_once()
            passed += step
