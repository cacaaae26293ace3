"""How waiting raises a job's rank, so that none waits for ever behind better ones."""

from ffrtmp.domain.ranking import WORST_RANK


def step_seconds(max_wait_seconds: float) -> float:
    """Farm seconds of waiting that raise a job by one rank: the worst is first after the whole."""
    return max_wait_seconds / WORST_RANK
