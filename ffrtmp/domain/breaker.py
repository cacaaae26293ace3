"""When a node, or one GPU of it, is no longer trusted with jobs, and when it may try again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from ffrtmp.domain.attempt import Attempt, Outcome
from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.domain.retry import FailureClass

HOST_SIDE = frozenset(
    {FailureClass.KILLED, FailureClass.HARDWARE, FailureClass.ENCODER, FailureClass.AGENT}
)
"""Failures that may be the host's: a broken driver, a damaged ffmpeg, too little memory.

Not a lost node, which its own return heals; not a full disk, for which the node itself waits; not
a stall or a connection, which may be the input's."""
WHOLE_NODE = "node"
"""What stands for the node itself among the ids of its devices."""
MOST_DOUBLINGS = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class SetAside:
    """Out of work for its own failures: since when in farm time, and how many canary jobs have
    failed there since."""

    reason: str
    since_farm: float
    canaries: int = 0

    def is_canary_due(self, farm_seconds: float, *, after_seconds: float) -> bool:
        """True where it may prove itself with one job: twice as long after each that failed."""
        doublings: int = 2 ** min(self.canaries, MOST_DOUBLINGS)
        return farm_seconds >= self.since_farm + after_seconds * doublings

    def failed_again(self, *, reason: str, farm_seconds: float) -> "SetAside":
        """After a canary job that failed."""
        return replace(self, reason=reason, since_farm=farm_seconds, canaries=self.canaries + 1)


def failures_in_a_row(ended: Iterable[Attempt]) -> Sequence[Attempt]:
    """The host-side failures of a node's ended attempts, newest first, down to the last success.

    Attempts that ended otherwise tell nothing about the host and are passed over.
    """
    found = []
    for attempt in ended:
        if attempt.outcome is Outcome.COMPLETED:
            break
        if attempt.outcome is Outcome.FAILED and attempt.failure_class in HOST_SIDE:
            found.append(attempt)
    return found


def at_fault(
    ended: Sequence[Attempt], device: str, *, needed: int
) -> tuple[str, Sequence[Attempt]]:
    """What is to be set aside after a failure on a device, and the row of failures that says so;
    an empty row where nothing is.

    A GPU by its own row, so that its node's other devices work on; else the node by the row over
    all of its devices.
    """
    if device != CPU_DEVICE:
        own = failures_in_a_row(attempt for attempt in ended if attempt.device == device)
        if _different_jobs(own) >= needed:
            return device, own
    found = failures_in_a_row(ended)
    return (WHOLE_NODE, found) if _different_jobs(found) >= needed else (WHOLE_NODE, ())


def _different_jobs(failures: Sequence[Attempt]) -> int:
    return len({attempt.job_id for attempt in failures})
