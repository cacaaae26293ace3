"""Jobs that people start again after they failed or were canceled."""

from collections import Counter

import pytest

from ffrtmp.client import MasterRefused
from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from tests.chaos.farm import ChaosFarm
from tests.waiting import free_port, wait_until

MAX_RETRIES = 1


def test_retry_of_a_failed_job_spends_a_budget_of_its_own_and_keeps_the_history(
    farm: ChaosFarm,
) -> None:
    farm.start_agent("failing").ready()
    away = f"http://127.0.0.1:{free_port()}/clip.mp4"
    job = farm.client.submit(
        {"scenario": "360p", "max_retries": MAX_RETRIES, "parameters": {"input": away}}
    )
    failed = farm.wait_for(job, JobStatus.FAILED)
    farm.client.drain("failing")

    retried = [farm.client.retry(job.id) for _ in range(2)]
    farm.client.undrain("failing")
    again = farm.wait_for(job, JobStatus.FAILED)

    assert failed.retry_count == again.retry_count == MAX_RETRIES
    assert [(it.status, it.attempt, it.retry_count) for it in retried] == [
        (JobStatus.PENDING, 2, 0)
    ] * 2
    history = farm.client.attempts(job.id).attempts
    assert [(it.number, it.failure_class) for it in history] == [
        (number, FailureClass.CONNECTION) for number in (1, 2, 3, 4)
    ]
    kinds = Counter(event.kind for event in farm.client.events(job.id).events)
    assert (kinds[EventKind.JOB_FAILED], kinds[EventKind.JOB_RETRIED]) == (2, 1)


def test_retry_of_a_canceled_job_runs_it_again_and_not_a_third_time(farm: ChaosFarm) -> None:
    agent = farm.start_agent("canceling").ready()
    job = farm.submit("720p30-h264", duration=20, preset="ultrafast")
    wait_until(agent.ffmpegs, what="an encode")
    farm.client.cancel(job.id)

    farm.client.retry(job.id)
    farm.wait_for(job, JobStatus.RUNNING)
    with pytest.raises(MasterRefused, match="cannot be retried"):
        farm.client.retry(job.id)
    done = farm.wait_for(job, JobStatus.COMPLETED)
    with pytest.raises(MasterRefused, match="cannot be retried"):
        farm.client.retry(job.id)

    assert (done.attempt, done.retry_count, done.error) == (2, 0, None)
    assert [it.outcome for it in farm.client.attempts(job.id).attempts] == [
        Outcome.CANCELED,
        Outcome.COMPLETED,
    ]
    assert farm.client.job(job.id).attempt == 2
