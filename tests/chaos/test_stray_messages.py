"""Messages that are lost on the way, doubled, old, or foreign."""

import base64
import json
import uuid
from contextlib import closing
from typing import Any

from ffrtmp.broker.messages import HINT_TASK
from ffrtmp.broker.publisher import RedisBell
from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.hint import Hint, node_queue_name
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import JobAnswer
from tests.chaos.farm import ChaosFarm
from tests.chaos.proxy import Proxy
from tests.waiting import free_port, wait_until

NEVER = 3600
RUNG_AGAIN_SECONDS = 30
COPIES = 100


def push(farm: ChaosFarm, job: JobAnswer, queue_name: str, *, copies: int) -> None:
    hint = Hint(job_id=job.id, rank=4, queue_name=queue_name)
    with closing(RedisBell(farm.broker.url, window=10_000)) as bell:
        bell.push([hint] * copies)


def message(task: str, kwargs: dict[str, Any]) -> str:
    """A Celery message as it lies in Redis."""
    body = base64.b64encode(json.dumps([[], kwargs, {}]).encode()).decode()
    number = str(uuid.uuid4())
    return json.dumps(
        {
            "body": body,
            "content-type": "application/json",
            "content-encoding": "utf-8",
            "headers": {"task": task, "id": number, "lang": "py"},
            "properties": {
                "delivery_tag": number,
                "delivery_mode": 2,
                "delivery_info": {"exchange": "", "routing_key": "default"},
                "body_encoding": "base64",
            },
        }
    )


def test_job_whose_message_died_with_its_agent_is_rung_again(farm: ChaosFarm) -> None:
    with closing(Proxy(farm.settings.port)) as to_api:
        other = farm.start_agent("other", poll_interval=NEVER).ready()
        farm.client.drain("other")  # so that it takes no message, and asks for nothing at its start
        agent = farm.start_agent("dying", to_api=to_api, poll_interval=NEVER)
        wait_until(lambda: other.celery_child() is None, what="the other to take no messages")
        farm.wait_for_listeners(1)
        to_api.cut()
        farm.control.kill()  # or it would send a second message before the first is lost
        job = farm.submit()
        wait_until(lambda: "waits for the master" in agent.text(), what="a claim on its way")
        agent.kill()
        assert farm.broker.hinted() == []

        farm.control.start()
        farm.client.undrain("other")

        done = farm.wait_for(job, JobStatus.COMPLETED, seconds=RUNG_AGAIN_SECONDS)
        assert (done.attempt, done.node_name) == (1, "other")


def test_hundred_copies_of_a_message_to_several_nodes_make_one_attempt(farm: ChaosFarm) -> None:
    agents = [
        farm.start_agent(name, poll_interval=NEVER, metrics_port=free_port())
        for name in ("first", "second")
    ]
    farm.wait_for_listeners(2)
    job = farm.submit()
    for node in farm.client.nodes().nodes:
        push(farm, job, node_queue_name(node.id), copies=COPIES)
    push(farm, job, "default", copies=COPIES)

    def heard() -> float:
        outcomes = ("started", "nothing")
        return sum(
            agent.metric("ffrtmp_worker_hints_total", outcome=outcome)
            for agent in agents
            for outcome in outcomes
        )

    wait_until(lambda: heard() >= 3 * COPIES, seconds=60, what="every copy to be taken")

    (attempt,) = farm.client.attempts(job.id).attempts
    assert attempt.outcome is Outcome.COMPLETED
    assert sum(a.metric("ffrtmp_worker_hints_total", outcome="started") for a in agents) == 1


def test_messages_of_other_releases_and_of_ended_jobs_are_dropped_quietly_and_counted(
    farm: ChaosFarm,
) -> None:
    agent = farm.start_agent("one", poll_interval=NEVER, metrics_port=free_port())
    farm.wait_for_listeners(1)
    ended = farm.wait_for(farm.submit(), JobStatus.COMPLETED)
    child = agent.celery_child()

    def count(outcome: str) -> float:
        return agent.metric("ffrtmp_worker_hints_total", outcome=outcome)

    before = count("nothing")
    with farm.broker.client() as broker:
        good = {"v": 1, "job_id": ended.id, "rank": 4}
        broker.lpush("default", message("ffrtmp.hint.v0", good))
        broker.lpush("default", message(HINT_TASK, good | {"v": 0}))
        broker.lpush("default", message(HINT_TASK, good))

    # A pass may have rung the job once more before it was claimed: that hint brings nothing too.
    wait_until(
        lambda: count("dropped") == 2 and count("nothing") > before, what="three to be counted"
    )

    assert farm.wait_for(farm.submit(), JobStatus.COMPLETED).attempt == 1
    assert len(farm.client.attempts(ended.id).attempts) == 1
    assert agent.celery_child() == child
    assert "Traceback" not in agent.text()
