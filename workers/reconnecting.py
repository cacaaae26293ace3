"""How long a stream that broke off is taken up again, and where it goes on, purely."""

from dataclasses import dataclass, replace
from typing import Any, Final

from ffrtmp.domain.retry import FailureClass

DEFAULT_RECONNECT_SECONDS: Final = 60.0
FIRST_CONNECTION_SECONDS: Final = 10.0
"""For a stream that was never published: a wrong address shall be told soon."""
STEADY_SECONDS: Final = 5.0
"""Published for so long, a connection counts as one that worked."""
TAIL_SECONDS: Final = 0.25
"""Less than this left of an input is no reason to start again: it may hold no frame."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """One process that published, or tried to; ``ended_at`` by the attempt's clock."""

    ended_at: float
    seconds: float
    sent_seconds: float = 0.0
    sent_bytes: int = 0
    frames: int = 0
    dropped_frames: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Course:
    """How far a stream has come, over all processes of its attempt.

    ``failing_since``, by the attempt's clock, is None while its last connection worked.
    """

    sent_seconds: float = 0.0
    sent_bytes: int = 0
    frames: int = 0
    dropped_frames: int = 0
    connections: int = 0
    published_seconds: float = 0.0
    failing_since: float | None = None

    @property
    def reconnects(self) -> int:
        """How often it went on after it had broken off."""
        return max(0, self.connections - 1)

    @property
    def bits_per_second(self) -> int | None:
        """What was sent, over its own time."""
        return round(8 * self.sent_bytes / self.sent_seconds) if self.sent_seconds else None

    def after(self, run: Run) -> "Course":
        """The same once ``run`` has ended."""
        has_begun_to_fail = self.failing_since is None or run.sent_seconds >= STEADY_SECONDS
        return replace(
            self,
            sent_seconds=self.sent_seconds + run.sent_seconds,
            sent_bytes=self.sent_bytes + run.sent_bytes,
            frames=self.frames + run.frames,
            dropped_frames=self.dropped_frames + run.dropped_frames,
            connections=self.connections + (1 if run.frames else 0),
            published_seconds=self.published_seconds + run.seconds,
            failing_since=run.ended_at if has_begun_to_fail else self.failing_since,
        )

    def may_go_on(
        self, failure: FailureClass, *, at: float, is_seen_live: bool, patience_seconds: float
    ) -> bool:
        """Whether the next process may start ``at`` this time of the attempt's clock.

        A live source that was seen (``is_seen_live``) and then gives something else, or nothing,
        has broken off.
        """
        has_broken_off = failure is FailureClass.CONNECTION or (
            is_seen_live and failure is FailureClass.BAD_INPUT
        )
        first = min(FIRST_CONNECTION_SECONDS, patience_seconds)
        patience = patience_seconds if self.connections else first
        return has_broken_off and at - (self.failing_since or at) <= patience

    def left_of(self, expected_seconds: float | None) -> float | None:
        """What remains to be published, None where it has no end, 0 where it is all but done."""
        if expected_seconds is None:
            return None
        left = expected_seconds - self.sent_seconds
        return left if left >= TAIL_SECONDS else 0.0

    def facts(self) -> dict[str, Any]:
        """For the job's result."""
        return {
            "duration_seconds": round(self.sent_seconds, 3),
            "frames": self.frames,
            "dropped_frames": self.dropped_frames,
            "bits_per_second": self.bits_per_second,
            "reconnects": self.reconnects,
        }
