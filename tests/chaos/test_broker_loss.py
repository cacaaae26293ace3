"""The broker loses what it held."""

from ffrtmp.domain.job import JobStatus
from tests.chaos.farm import ChaosFarm


def test_every_job_runs_once_though_all_messages_were_flushed(farm: ChaosFarm) -> None:
    jobs = [farm.submit() for _ in range(10)]
    with farm.broker.client() as broker:
        broker.flushall()

    farm.start_agent("one", poll_interval=3600)

    for job in jobs:
        assert farm.wait_for(job, JobStatus.COMPLETED).attempt == 1
