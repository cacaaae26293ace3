"""When a node is no longer trusted with jobs: too many of them failed there for its own sake."""

from collections.abc import Iterable, Sequence

from ffrtmp.domain.attempt import Attempt, Outcome
from ffrtmp.domain.retry import FailureClass

HOST_SIDE = frozenset(
    {FailureClass.KILLED, FailureClass.HARDWARE, FailureClass.ENCODER, FailureClass.AGENT}
)
"""Failures that may be the host's: a broken driver, a damaged ffmpeg, too little memory.

Not a lost node, which its own return heals; not a full disk, for which the node itself waits; not
a stall or a connection, which may be the input's."""


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
