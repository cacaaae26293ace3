"""The farm's tunable promises, in one value."""

from dataclasses import dataclass, field

from ffrtmp.domain.ranking import Queue
from ffrtmp.domain.retry import RetryPolicy


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmPolicy:
    """What services follow; units are farm seconds where silence is meant, wall seconds else."""

    node_timeout_seconds: float = 120.0
    max_advance_seconds: float = 10.0
    max_retries: int = 3
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    stall_seconds: float = 300.0
    live_stall_seconds: float = 30.0
    hint_window: int = 10_000
    retention_seconds: float = 30 * 86_400.0
    avoid_seconds: float = 5.0
    """How long a due retry leaves the chance to a node with room that it has not failed on."""
    set_aside_after: int = 0
    """Different jobs in a row that fail for a node's own sake and set it aside; 0 for never."""
    canary_after_seconds: float = 60.0
    """Farm seconds until what was set aside may prove itself with one job; doubled by failures."""
    gpu_patience_seconds: float = 5.0
    """How long a job that could also run on a CPU is left to a GPU with room."""
    max_wait_seconds: float | None = None
    """Farm seconds of waiting that bring the worst rank to the front; None keeps strict order."""
    preempts_batch: bool = False
    """Whether a live job that finds every slot busy takes one from a batch attempt."""
    omissions_until_lost: int = 2
    """Heartbeats that may leave a lease out before it counts as lost."""

    max_pending: int | None = None
    """Pending jobs of all owners that a submit may lead to; None for any number."""
    max_nodes: int | None = None
    max_pending_per_owner: int | None = None

    def stall_after(self, queue: Queue) -> float:
        """Seconds without progress that a queue allows."""
        return self.live_stall_seconds if queue is Queue.LIVE else self.stall_seconds
