"""How waiting raises a job's rank, so that none waits for ever behind better ones."""

from ffrtmp.domain.ranking import WORST_RANK


def step_seconds(max_wait_seconds: float) -> float:
    """Farm seconds of waiting that raise a job by one rank: the worst is first after the whole."""
    return max_wait_seconds / WORST_RANK


def rank_after(base_rank: int, waited_seconds: float, *, max_wait_seconds: float) -> int:
    """The rank of a job that has waited this long."""
    return max(0, base_rank - int(max(0.0, waited_seconds) // step_seconds(max_wait_seconds)))
