"""Strict order on a real farm, read from the attempts."""

import random
from collections.abc import Callable

from ffrtmp.domain.ranking import Priority, Queue, rank_of
from ffrtmp.schemas import JobAnswer
from tests.acceptance.farm import RunningFarm

JOBS_PER_RANK = 10
LONG = {"scenario": "test-1080p", "queue": "live", "priority": "high"}


def test_ninety_shuffled_jobs_start_in_rank_order_and_fifo_within_a_rank(
    start_farm: Callable[..., RunningFarm],
) -> None:
    farm = start_farm("--slots", "1")
    blocker = farm.client.submit(LONG | {"parameters": {"duration": "1h"}})
    farm.wait_for(blocker.id, "running")
    order = [(queue, priority) for queue in Queue for priority in Priority] * JOBS_PER_RANK
    random.Random(90).shuffle(order)
    jobs = [
        farm.client.submit(
            {
                "scenario": "test-360p",
                "queue": queue,
                "priority": priority,
                "parameters": {"duration": "0.1s"},
            }
        )
        for queue, priority in order
    ]
    farm.client.cancel(blocker.id)
    for job in jobs:
        farm.wait_for(job.id, "completed", seconds=150)

    def started_at(job: JobAnswer) -> str:
        (attempt,) = farm.client.attempts(job.id).attempts
        return attempt.started_at.isoformat()

    started = [job.sequence_number for job in sorted(jobs, key=started_at)]
    assert started == [
        job.sequence_number
        for job in sorted(jobs, key=lambda j: (rank_of(j.queue, j.priority), j.sequence_number))
    ]
