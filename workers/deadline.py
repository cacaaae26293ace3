"""The time-out of an attempt, over all that it runs."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Deadline:
    """``seconds`` from when it was made, by a clock that may stand still; None is no limit."""

    seconds: float | None
    clock: Callable[[], float]
    started_at: float

    @classmethod
    def after(cls, seconds: float | None, clock: Callable[[], float]) -> "Deadline":
        """One that begins now."""
        return cls(seconds=seconds, clock=clock, started_at=clock())

    @property
    def left(self) -> float | None:
        """The seconds that remain; None where there is no limit."""
        if self.seconds is None:
            return None
        return max(0.0, self.started_at + self.seconds - self.clock())
