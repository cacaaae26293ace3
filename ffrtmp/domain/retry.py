"""Failure classes, and the decision a failure leads to."""

from dataclasses import dataclass
from enum import StrEnum


class FailureClass(StrEnum):
    """Why an attempt failed: a closed set that retries, breaker and alerts all read."""

    # permanent: the same job fails the same way on any node
    BAD_INPUT = "bad_input"  # not media, no video, truncated, encrypted
    INPUT_MISSING = "input_missing"  # no such file, 404
    INPUT_REFUSED = "input_refused"  # outside the media roots, not readable
    OUTPUT_EXISTS = "output_exists"  # and overwrite was not asked for
    OUTPUT_REFUSED = "output_refused"  # outside the output roots, a folder, read-only
    UNSUPPORTED = "unsupported"  # codec, filter or combination the encoder does not do
    LIMIT_EXCEEDED = "limit_exceeded"  # a limit the job itself asked for
    QUALITY_LOW = "quality_low"  # below the min_vmaf asked for, also when encoded better
    # transient: another try, perhaps elsewhere, may pass
    CONNECTION = "connection"  # remote input or master reset, refused, timed out
    NODE_LOST = "node_lost"  # its lease ran out, or its agent restarted without it
    KILLED = "killed"  # ended by a signal nobody of the farm sent
    NO_SPACE = "no_space"  # the node's or the destination's disk is full
    STALLED = "stalled"  # progress stopped moving
    HARDWARE = "hardware"  # the encoder device failed
    INCAPABLE = "incapable"  # this GPU cannot do what the job asks; another, or a CPU, may
    OUTPUT_WRONG = "output_wrong"  # the finished file is not what was asked for
    ENCODER = "encoder"  # ffmpeg failed and its output names no better class
    AGENT = "agent"  # an unexpected error in the node's own code

    @property
    def is_permanent(self) -> bool:
        """True where running the job again cannot help."""
        return self in _PERMANENT


_PERMANENT = frozenset(
    {
        FailureClass.BAD_INPUT,
        FailureClass.INPUT_MISSING,
        FailureClass.INPUT_REFUSED,
        FailureClass.OUTPUT_EXISTS,
        FailureClass.OUTPUT_REFUSED,
        FailureClass.UNSUPPORTED,
        FailureClass.LIMIT_EXCEEDED,
        FailureClass.QUALITY_LOW,
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """Exponential backoff with full jitter, as in the AWS Architecture Blog's note of 2015."""

    base_seconds: float = 5.0
    cap_seconds: float = 300.0

    def decide(
        self, failure: FailureClass, *, failures: int, max_retries: int, fraction: float
    ) -> "Retry | GiveUp":
        """What follows the ``failures``-th failure; ``fraction`` in [0, 1) is the jitter."""
        if failure.is_permanent:
            return GiveUp(reason=f"{failure} is permanent")
        if failures > max_retries:
            return GiveUp(reason=f"{max_retries} retries are spent")
        ceiling = min(self.cap_seconds, self.base_seconds * 2 ** min(failures - 1, 30))
        return Retry(delay_seconds=ceiling * fraction)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retry:
    """Run the job again, not before the delay has passed."""

    delay_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class GiveUp:
    """The job ends as failed."""

    reason: str
