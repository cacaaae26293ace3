"""A number that is counted now and then, and added to in between."""

from dataclasses import dataclass, replace
from datetime import datetime

COUNT_AGAIN_SECONDS = 10.0
COUNT_AGAIN_FULL_SECONDS = 1.0
"""The same where the limit seems reached: what has left meanwhile makes room."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """How many there were ``at`` a moment, and how many were added since."""

    counted: int
    at: datetime
    added: int = 0

    @property
    def known(self) -> int:
        """How many there are at the most, as far as this process knows."""
        return self.counted + self.added

    def plus(self, number: int) -> "Tally":
        """With so many more."""
        return replace(self, added=self.added + number)

    def is_stale(self, now: datetime, *, is_full: bool) -> bool:
        """Whether to count again before it is relied on."""
        age_seconds = (now - self.at).total_seconds()
        longest = COUNT_AGAIN_FULL_SECONDS if is_full else COUNT_AGAIN_SECONDS
        # A clock that stepped back says nothing of its age.
        return not 0 <= age_seconds < longest
