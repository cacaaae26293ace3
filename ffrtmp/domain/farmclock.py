"""Farm time: the clock by which nodes are silent.

It counts seconds during which the farm could have heard a node: it advances at a reconcile pass,
by what passed since the last one but never by more than ``max_advance``, and only if an API
process proved itself alive in between. An outage of master, API, control or database, of any
length, and a jump of any clock, therefore expire nothing.
"""

from dataclasses import dataclass, replace
from datetime import datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmClock:
    """One row of the store. ``api_beats`` counts proofs of life; ``beats_seen`` the last pass's."""

    seconds: float
    last_pass_at: datetime
    api_beats: int = 0
    beats_seen: int = 0

    def advanced(self, now: datetime, *, max_advance_seconds: float) -> "FarmClock":
        """The clock after a pass at ``now``."""
        heard = self.api_beats > self.beats_seen
        gained = self._since_last_pass(now, max_advance_seconds) if heard else 0.0
        return replace(
            self,
            seconds=self.seconds + gained,
            last_pass_at=now,
            beats_seen=self.api_beats,
        )

    def reading(self, now: datetime, *, max_advance_seconds: float) -> float:
        """Farm seconds at ``now``, between passes: what a heartbeat is stamped with.

        It counts the part of the current interval that the next pass is going to add, so a node
        heard late in a long interval is not silent for the whole of it.
        """
        return self.seconds + self._since_last_pass(now, max_advance_seconds)

    def _since_last_pass(self, now: datetime, max_advance_seconds: float) -> float:
        elapsed = (now - self.last_pass_at).total_seconds()
        return min(max(elapsed, 0.0), max_advance_seconds)
