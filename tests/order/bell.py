"""The broker of this world: hints in rank order, each handed to a pool that waits for one."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from ffrtmp.domain.hint import Hint
from ffrtmp.domain.ranking import RANKS


class Ear(Protocol):
    """A pool of a node: the queues it hears, best first, and who takes what it hears."""

    @property
    def names(self) -> Sequence[str]:
        """The queues, best first."""
        ...

    def take(self) -> None:
        """A hint for a slot that is free: whichever job it names, the claim gives the best."""
        ...


class MemoryBell:
    """Implements services.bell.Bell. Whoever waits longest for a queue gets its next hint."""

    def __init__(self, *, window: int, on_nudge: Callable[[str], None]) -> None:
        self._window = window
        self._on_nudge = on_nudge
        self._queues: dict[str, list[deque[Hint]]] = {}
        self._counts: dict[str, int] = {}
        self._ears: dict[str, dict[Ear, None]] = {}
        self.pushed = 0
        """Hints that reconcile passes had to add."""

    def ring(self, hint: Hint) -> bool:
        """False where the queue is at its window."""
        if self.waiting(hint.queue_name) >= self._window:
            return False
        self._put(hint)
        return True

    def waiting(self, queue_name: str) -> int:
        """Hints in a queue."""
        return self._counts.get(queue_name, 0)

    def push(self, hints: Sequence[Hint]) -> int:
        """All of them, in this order."""
        for hint in hints:
            self._put(hint)
        self.pushed += len(hints)
        return len(hints)

    def nudge(self, node_id: str) -> None:
        """Heard at once."""
        self._on_nudge(node_id)

    def listen(self, ear: Ear) -> None:
        """It has room: from now on hints may be handed to it."""
        for name in ear.names:
            self._ears.setdefault(name, {})[ear] = None

    def leave(self, ear: Ear) -> None:
        """It has no room, or is gone."""
        for name in ear.names:
            self._ears.setdefault(name, {}).pop(ear, None)

    def pop(self, names: Iterable[str]) -> Hint | None:
        """The best hint of the first of these queues that has any."""
        name = next((name for name in names if self._counts.get(name)), None)
        if name is None:
            return None
        self._counts[name] -= 1
        return next(waiting for waiting in self._queues[name] if waiting).popleft()

    def _put(self, hint: Hint) -> None:
        ears = self._ears.get(hint.queue_name)
        if ears:
            ear = next(iter(ears))
            # It waits anew, behind the others.
            self.leave(ear)
            ear.take()
            return
        queue = self._queues.setdefault(hint.queue_name, [deque() for _ in RANKS])
        queue[hint.rank].append(hint)
        self._counts[hint.queue_name] = self.waiting(hint.queue_name) + 1
