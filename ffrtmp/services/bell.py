"""What services need of the broker."""

from collections.abc import Sequence
from typing import Protocol

from ffrtmp.domain.hint import Hint


class Bell(Protocol):
    """Rings hosts. Hints may be lost, repeated or late; the store stays right without them."""

    def ring(self, hint: Hint) -> bool:
        """Push one hint unless its queue is at its window; False (logged) if the broker fails."""
        ...

    def waiting(self, queue_name: str) -> int:
        """Hints in a queue over all its priorities; Unavailable if the broker does not answer."""
        ...

    def push(self, hints: Sequence[Hint]) -> int:
        """Push all, best first as given; how many were; Unavailable if the broker fails."""
        ...

    def nudge(self, node_id: str) -> None:
        """Ask a node to send its heartbeat now; never raises, a lost nudge costs an interval."""
        ...
