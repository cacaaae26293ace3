"""Wrong credentials from one place: how many are let pass, and how long it waits after that."""

from dataclasses import dataclass, replace

FREE_PER_MINUTE = 10
MINUTE_SECONDS = 60.0
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 60.0
FORGOTTEN_AFTER_SECONDS = 600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspect:
    """A place from which wrong credentials came; times in seconds of a clock that only moves on.

    ``wrong`` counts those since ``since``, ``waits`` how often it had to wait.
    """

    wrong: int = 0
    since: float
    last: float
    waits: int = 0
    until: float = 0.0

    def wait_seconds(self, now: float) -> float:
        """How long nothing that may be a guess is looked at; 0 where everything is."""
        return max(0.0, self.until - now)

    def after_wrong(self, now: float) -> "Suspect":
        """One more that was looked at and was wrong. Each wait is twice the one before."""
        if now - self.last > FORGOTTEN_AFTER_SECONDS:
            return Suspect(wrong=1, since=now, last=now)
        if self.waits == 0 and now - self.since > MINUTE_SECONDS:
            return Suspect(wrong=1, since=now, last=now)
        seen = replace(self, wrong=self.wrong + 1, last=now)
        if seen.wrong <= FREE_PER_MINUTE:
            return seen
        wait = min(LONGEST_WAIT_SECONDS, FIRST_WAIT_SECONDS * 2 ** min(self.waits, 16))
        return replace(seen, waits=self.waits + 1, until=now + wait)
