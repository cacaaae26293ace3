"""The network delivers a request and loses its answer."""

import json
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from ffrtmp.client import AnswerLost, Connection, MasterClient
from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import JobAnswer
from tests.chaos.farm import ChaosFarm
from tests.chaos.lines import BEAT, CLAIM, COMMIT, REGISTER, RELEASE, REPORT, SUBMIT
from tests.integration.agents import KEY, LONG
from tests.waiting import wait_until

LOST = 3
FARM_SETTINGS = {"node_timeout": 60.0}
"""Repeats on a busy machine are not taken for silence."""


def test_agent_that_does_not_hear_that_it_is_registered_registers_once(farm: ChaosFarm) -> None:
    farm.to_api.drop_answers(LOST, to=REGISTER)

    farm.start_agent("one").ready()

    assert farm.to_api.has_dropped
    node = farm.client.node("one")
    with farm.store() as store, store.read() as tx:
        said = [event for event in tx.events.after(0, limit=10_000) if event.node_id == node.id]
    assert [event.kind for event in said].count(EventKind.NODE_REGISTERED) == 1
    assert farm.wait_for(farm.submit(), JobStatus.COMPLETED).attempt == 1


@pytest.mark.parametrize("request_line", [CLAIM, COMMIT, REPORT, BEAT])
def test_job_is_claimed_and_completed_once_though_the_answers_to_its_node_are_lost(
    farm: ChaosFarm, request_line: str
) -> None:
    # Before there is an agent, so that the first claim brings it and the first answer is lost.
    job = farm.submit(duration=1)
    farm.to_api.drop_answers(LOST, to=request_line)
    agent = farm.start_agent(f"deaf-{request_line.rpartition('/')[2]}")

    done = farm.wait_for(job, JobStatus.COMPLETED)
    wait_until(lambda: farm.to_api.has_dropped and not agent.journals(), what="the last answer")

    assert (done.attempt, done.retry_count) == (1, 0)
    (attempt,) = farm.client.attempts(job.id).attempts
    assert attempt.outcome is Outcome.COMPLETED
    assert f"attempt {job.id}/1 reported as completed" in agent.text()
    assert count_events(farm, job) == dict.fromkeys(
        (
            EventKind.JOB_SUBMITTED,
            EventKind.JOB_CLAIMED,
            EventKind.JOB_COMMITTING,
            EventKind.JOB_COMPLETED,
        ),
        1,
    )


def test_attempt_is_given_back_once_though_the_answer_to_that_is_lost(farm: ChaosFarm) -> None:
    agent = farm.start_agent("leaving").ready()
    job = farm.client.submit(LONG)
    wait_until(agent.ffmpegs, what="an encode")
    farm.to_api.drop_answers(1, to=RELEASE)

    status = agent.end()

    assert (status, farm.to_api.has_dropped) == (0, True)
    assert "was not released" not in agent.text()
    left = farm.client.job(job.id)
    assert (left.status, left.attempt, left.retry_count) == (JobStatus.PENDING, 1, 0)
    assert count_events(farm, job)[EventKind.JOB_RELEASED] == 1


@pytest.mark.parametrize(
    ("verb", "kind"), [("cancel", EventKind.JOB_CANCELED), ("retry", EventKind.JOB_RETRIED)]
)
def test_command_whose_answer_is_lost_may_be_given_again(
    farm: ChaosFarm, verb: str, kind: EventKind
) -> None:
    job = farm.submit()
    if verb == "retry":
        farm.client.cancel(job.id)
    farm.to_api.drop_answers(1, to=f"POST /jobs/*/{verb}")
    with MasterClient(Connection(url=proxied(farm), key=KEY)) as client:
        with pytest.raises(AnswerLost):
            getattr(client, verb)(job.id)
        after_first = farm.client.job(job.id).status
        again = getattr(client, verb)(job.id)

    assert again.status is after_first
    assert count_events(farm, job)[kind] == 1


def test_submit_repeated_under_its_key_until_it_is_answered_is_one_job(farm: ChaosFarm) -> None:
    body, key = {"scenario": "360p30-h264", "parameters": {"duration": 0.1}}, "k" * 32
    farm.to_api.drop_answers(1, to=SUBMIT)
    before = count_jobs(farm)
    with MasterClient(Connection(url=proxied(farm), key=KEY)) as client:
        with pytest.raises(AnswerLost):
            client.submit(body, idempotency_key=key)
        job = client.submit(body, idempotency_key=key)

    assert count_jobs(farm) == before + 1
    assert farm.client.job(job.id).attempt == 0


def test_command_whose_answer_is_lost_submits_one_job_without_a_key_of_the_user(
    farm: ChaosFarm,
) -> None:
    farm.to_api.drop_answers(2, to=SUBMIT)
    before = count_jobs(farm)

    said = submitted(farm)

    assert said.returncode == 0, said.stderr
    assert farm.to_api.has_dropped
    assert count_jobs(farm) == before + 1
    assert farm.client.job(json.loads(said.stdout)["id"]).status is JobStatus.PENDING


def test_command_that_gets_no_answer_at_all_names_the_key_that_makes_no_second_job(
    farm: ChaosFarm,
) -> None:
    farm.to_api.drop_answers(1_000, to=SUBMIT)
    before = count_jobs(farm)

    unsure = submitted(farm)
    farm.to_api.heal()
    key = unsure.stderr.partition("--idempotency-key ")[2].split()[0]
    again = submitted(farm, "--idempotency-key", key)

    assert unsure.returncode == 3
    assert again.returncode == 0, again.stderr
    assert count_jobs(farm) == before + 1


def submitted(farm: ChaosFarm, *more: str) -> subprocess.CompletedProcess[str]:
    """``ffrtmp jobs submit`` through the proxy."""
    program = str(Path(sys.executable).with_name("ffrtmp"))
    command = [program, "--master", proxied(farm), "--api-key", KEY]
    command += ["--output", "json", "jobs", "submit", "--scenario", "360p30-h264", *more]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def count_events(farm: ChaosFarm, job: JobAnswer) -> Counter[str]:
    return Counter(event.kind for event in farm.client.events(job.id).events)


def count_jobs(farm: ChaosFarm) -> int:
    return len(farm.client.jobs(limit=1000).jobs)


def proxied(farm: ChaosFarm) -> str:
    return f"http://127.0.0.1:{farm.to_api.port}"
