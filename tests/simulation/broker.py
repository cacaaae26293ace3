"""The broker of the simulated world: it loses, repeats and forgets, and may be away."""

import random
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.hint import Hint

LOSS, REPEAT = 0.05, 0.05
DIES_WITH_ITS_CHILD, COMES_AGAIN = 0.04, 0.04

Queues = dict[str, list[tuple[int, int, Hint]]]


@dataclass
class SimBroker:
    """Implements services.bell.Bell; ``on_nudge`` is told whom to nudge."""

    rng: random.Random
    on_nudge: Callable[[str], None]
    queues: Queues = field(default_factory=dict)
    is_up: bool = True
    takes: bool = True
    """False where it answers but writes nothing: full, read-only, or without the right."""
    pushed: int = 0
    _snapshot: Queues = field(default_factory=dict)

    def ring(self, hint: Hint) -> bool:
        """Sometimes lost, sometimes twice."""
        if not (self.is_up and self.takes) or self.rng.random() < LOSS:
            return False
        self._put(hint)
        if self.rng.random() < REPEAT:
            self._put(hint)
        return True

    def waiting(self, queue_name: str) -> int:
        """Hints in a queue."""
        if not self.is_up:
            raise Unavailable("the broker is away")
        return len(self.queues.get(queue_name, ()))

    def push(self, hints: Sequence[Hint]) -> int:
        """All of them, or some of them and an error."""
        for hint in hints:
            if not (self.is_up and self.takes) or self.rng.random() < LOSS / 10:
                raise Unavailable("the broker takes nothing")
            self._put(hint)
        return len(hints)

    def nudge(self, node_id: str) -> None:
        """Sometimes lost."""
        if self.is_up and self.rng.random() >= LOSS:
            self.on_nudge(node_id)

    def pop(self, queue_names: Iterable[str]) -> Hint | None:
        """The best-ranked hint of some queues, first in first out inside a rank.

        It may never reach the agent, or come again though it did.
        """
        if not self.is_up:
            return None
        full = [name for name in queue_names if self.queues.get(name)]
        if not full:
            return None
        name = min(full, key=lambda one: min(self.queues[one])[:2])
        best = min(self.queues[name], key=lambda entry: entry[:2])
        self.queues[name].remove(best)
        chance = self.rng.random()
        if chance < COMES_AGAIN:
            self._put(best[2])
        return None if chance > 1 - DIES_WITH_ITS_CHILD else best[2]

    def flush(self) -> None:
        """FLUSHALL, or a restart without a snapshot."""
        self.queues.clear()

    def save(self) -> None:
        """Keep a snapshot."""
        self._snapshot = {name: list(waiting) for name, waiting in self.queues.items()}

    def restore(self) -> None:
        """A restart with what the snapshot has, however old it is."""
        self.queues = {name: list(waiting) for name, waiting in self._snapshot.items()}

    def _put(self, hint: Hint) -> None:
        self.pushed += 1
        self.queues.setdefault(hint.queue_name, []).append((hint.rank, self.pushed, hint))
