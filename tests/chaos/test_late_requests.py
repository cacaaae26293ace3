"""The network delivers late, or twice at once, what an agent said."""

from collections.abc import Iterator
from contextlib import closing

import pytest

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.hint import node_queue_name
from ffrtmp.domain.job import JobStatus
from tests.chaos.farm import ChaosFarm
from tests.chaos.lines import BEAT, CLAIM, REGISTER
from tests.chaos.proxy import Proxy
from tests.chaos.test_stray_messages import push
from tests.integration.agents import kill_tree
from tests.waiting import wait_until

NEVER = 3600
FARM_SETTINGS = {"node_timeout": 60.0}
"""What is held back is not taken for silence."""
BEATS = 4
"""Twice as many as end an attempt that they omit."""


@pytest.fixture
def slow(farm: ChaosFarm) -> Iterator[Proxy]:
    """Another way to the API."""
    with closing(Proxy(farm.settings.port)) as proxy:
        yield proxy


def test_registration_that_arrives_after_that_of_a_newer_process_changes_nothing(
    farm: ChaosFarm, slow: Proxy
) -> None:
    slow.hold_requests(to=REGISTER)
    dead = farm.start_agent("again", to_api=slow)
    wait_until(lambda: slow.is_holding, what="a registration on its way")
    kill_tree(dead)
    agent = farm.start_agent("again").ready()
    job = farm.submit("720p30-h264", duration=20, preset="ultrafast")
    wait_until(agent.ffmpegs, what="an encode")
    epoch = farm.client.node("again").epoch

    slow.heal()
    wait_until(lambda: slow.count_answers(to=REGISTER), what="it to be heard")

    assert farm.client.node("again").epoch == epoch
    done = farm.wait_for(job, JobStatus.COMPLETED)
    assert (done.attempt, done.retry_count) == (1, 0)


def test_attempt_is_not_lost_by_heartbeats_that_pass_before_the_answer_to_its_claim(
    farm: ChaosFarm,
) -> None:
    job = farm.submit()
    farm.to_api.hold_answers(to=CLAIM)
    farm.start_agent("late", heartbeat_interval=0.3, poll_interval=NEVER)
    farm.wait_for(job, JobStatus.RUNNING)
    before = farm.to_api.count_answers(to=BEAT)

    wait_until(lambda: farm.to_api.count_answers(to=BEAT) >= before + BEATS, what="heartbeats")
    meanwhile = farm.client.job(job.id)
    farm.to_api.heal()

    assert (meanwhile.status, meanwhile.attempt) == (JobStatus.RUNNING, 1)
    done = farm.wait_for(job, JobStatus.COMPLETED)
    assert (done.attempt, done.retry_count) == (1, 0)


def test_message_that_reaches_two_slots_of_a_node_at_once_makes_one_attempt(
    farm: ChaosFarm,
) -> None:
    farm.start_agent("double", slots=2, poll_interval=NEVER, heartbeat_interval=0.3).ready()
    farm.wait_for_listeners(1)
    farm.control.kill()  # whose pass could send a message more
    farm.to_api.hold_requests(to=CLAIM)
    job = farm.submit("720p30-h264", duration=10, preset="ultrafast")
    wait_until(lambda: farm.to_api.count_held() == 1, what="a claim")
    (node,) = [it for it in farm.client.nodes().nodes if it.name == "double"]
    push(farm, job, node_queue_name(node.id), copies=1)
    wait_until(lambda: farm.to_api.count_held() == 2, what="a claim of the other slot")
    before = farm.to_api.count_answers(to=BEAT)

    farm.to_api.heal()
    wait_until(lambda: farm.to_api.count_answers(to=BEAT) >= before + BEATS, what="heartbeats")
    farm.control.start()

    done = farm.wait_for(job, JobStatus.COMPLETED)
    assert done.attempt == 1
    (attempt,) = farm.client.attempts(job.id).attempts
    assert attempt.outcome is Outcome.COMPLETED
