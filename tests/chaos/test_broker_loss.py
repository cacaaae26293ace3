"""The broker loses what it held, goes away, or falls silent."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from ffrtmp.domain.job import JobStatus
from tests.chaos.farm import ChaosFarm
from tests.waiting import wait_until

NEVER = 3600
"""Between the claims of an agent that is to start only what a hint brings."""


def submit(farm: ChaosFarm, count: int) -> list[str]:
    with ThreadPoolExecutor(4) as pool:
        return [job.id for job in pool.map(lambda _: farm.submit(), range(count))]


def test_every_pending_job_is_rung_again_after_the_broker_was_emptied(farm: ChaosFarm) -> None:
    jobs = submit(farm, 1000)
    with farm.broker.client() as broker:
        broker.flushall()

    wait_until(lambda: len(farm.broker.hinted()) >= len(jobs), what="the missing hints")

    assert sorted(farm.broker.hinted()) == sorted(jobs)


@pytest.mark.timeout(900)
@pytest.mark.parametrize("count", [10, pytest.param(1000, marks=pytest.mark.slow)])
def test_every_job_runs_once_though_all_messages_were_flushed(farm: ChaosFarm, count: int) -> None:
    jobs = [farm.submit() for _ in range(count)]
    with farm.broker.client() as broker:
        broker.flushall()

    farm.start_agent("wide", poll_interval=NEVER, slots=2)

    for job in jobs:
        assert farm.wait_for(job, JobStatus.COMPLETED).attempt == 1


def test_every_job_runs_once_though_the_broker_came_back_with_old_messages(
    farm: ChaosFarm,
) -> None:
    old = [farm.submit() for _ in range(3)]
    with farm.broker.client() as broker:
        broker.save()
    farm.start_agent("one", poll_interval=NEVER)
    for job in old:
        farm.wait_for(job, JobStatus.COMPLETED)

    farm.broker.kill()
    farm.broker.start()
    assert set(farm.broker.hinted()) == {job.id for job in old}
    new = [farm.submit() for _ in range(3)]

    for job in new:
        assert farm.wait_for(job, JobStatus.COMPLETED).attempt == 1
    for job in old:
        assert len(farm.client.attempts(job.id).attempts) == 1


def test_jobs_submitted_to_a_dead_broker_run_when_it_is_back_empty(farm: ChaosFarm) -> None:
    farm.start_agent("one", poll_interval=NEVER)
    farm.wait_for_listeners(1)
    farm.broker.kill()
    job = farm.submit()

    farm.broker.start()

    assert farm.wait_for(job, JobStatus.COMPLETED).attempt == 1


@pytest.mark.parametrize("seconds", [4, pytest.param(60, marks=pytest.mark.slow)])
def test_hints_are_taken_again_soon_after_the_broker_is_back(farm: ChaosFarm, seconds: int) -> None:
    farm.start_agent("one", poll_interval=NEVER)
    farm.wait_for_listeners(1)
    farm.broker.kill()
    gone_at = time.monotonic()
    jobs = [farm.submit() for _ in range(3)]
    wait_until(lambda: time.monotonic() - gone_at > seconds, seconds=seconds + 10)
    assert {farm.client.job(job.id).status for job in jobs} == {JobStatus.PENDING}
    farm.broker.start()
    back_at = time.monotonic()

    farm.wait_for(jobs[0], JobStatus.COMPLETED)

    assert time.monotonic() - back_at < 15
    for job in jobs:
        assert farm.wait_for(job, JobStatus.COMPLETED).attempt == 1


@pytest.mark.slow
def test_a_connection_on_which_nothing_arrives_any_more_is_replaced(farm: ChaosFarm) -> None:
    farm.start_agent("one", poll_interval=NEVER, consumer_timeout=4)
    farm.wait_for_listeners(1)

    farm.to_broker.strand()
    job = farm.submit()

    assert farm.wait_for(job, JobStatus.COMPLETED, seconds=60).attempt == 1
