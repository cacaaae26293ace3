"""What befalls the Celery child, which no encode may feel."""

import resource
from functools import partial
from typing import Any

import psutil
import pytest

from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import JobAnswer
from tests.chaos.farm import ChaosFarm
from tests.integration.agents import AgentProcess
from tests.waiting import free_port, wait_until

NEVER = 3600
BACK_SECONDS = 5
BIG_BYTES = 64 << 20
RUBBISH = (b"", b"text", b"null", b"[]", b"\x80\x02\xff", b"[" * 100_000)


def start(farm: ChaosFarm, *, slots: int = 1, **settings: Any) -> AgentProcess:
    """An agent whose child listens; it asks for nothing by itself unless told so."""
    known: dict[str, Any] = {"poll_interval": NEVER, "metrics_port": free_port()}
    agent = farm.start_agent(f"with-{slots}-slots", slots=slots, **(known | settings))
    farm.wait_for_listeners(1)
    return agent


def child_of(agent: AgentProcess) -> psutil.Process:
    return wait_until(agent.celery_child, what="a Celery child")


def busy(farm: ChaosFarm) -> tuple[AgentProcess, JobAnswer, psutil.Process]:
    """An agent with two slots, the job in one of them, and its ffmpeg, held in mid-encode."""
    agent = start(farm, slots=2, consumer_timeout=4)
    job = farm.submit(duration=20)
    ffmpeg = wait_until(agent.ffmpegs)[0]
    ffmpeg.suspend()
    return agent, job, ffmpeg


def ends_well(farm: ChaosFarm, job: JobAnswer, ffmpeg: psutil.Process) -> bool:
    ffmpeg.resume()
    return farm.wait_for(job, JobStatus.COMPLETED).attempt == 1


def is_replaced(agent: AgentProcess, child: psutil.Process) -> bool:
    now = agent.celery_child()
    return now is not None and now.pid != child.pid


def test_garbage_in_a_queue_is_counted_and_costs_nothing(farm: ChaosFarm) -> None:
    agent, job, ffmpeg = busy(farm)
    child = child_of(agent)

    with farm.broker.client() as broker:
        broker.lpush("live", *RUBBISH)

    dropped = partial(agent.metric, "ffrtmp_worker_hints_total", outcome="dropped")
    wait_until(lambda: dropped() == len(RUBBISH), what="each to be counted")
    assert agent.celery_child() == child
    assert farm.wait_for(farm.submit(), JobStatus.COMPLETED).attempt == 1
    assert ends_well(farm, job, ffmpeg)


def test_child_that_is_killed_is_replaced_and_no_encode_feels_it(farm: ChaosFarm) -> None:
    agent, job, ffmpeg = busy(farm)
    child = child_of(agent)

    child.kill()

    wait_until(lambda: is_replaced(agent, child), seconds=BACK_SECONDS)
    assert farm.wait_for(farm.submit(), JobStatus.COMPLETED).attempt == 1
    assert ends_well(farm, job, ffmpeg)


@pytest.mark.slow
def test_child_that_ends_again_and_again_raises_an_alarm_and_the_node_asks_by_itself(
    farm: ChaosFarm,
) -> None:
    agent = start(farm, poll_interval=0.5)

    def is_alarmed() -> bool:
        if child := agent.celery_child():
            child.kill()
        return agent.metric("ffrtmp_worker_child_faults") > 3

    wait_until(is_alarmed, seconds=60)

    assert "ERROR workers.child: Celery child ended" in agent.text()
    farm.wait_for_listeners(1)
    assert agent.metric("ffrtmp_worker_takes_hints") == 0
    wait_until(
        lambda: [n for n in farm.client.nodes().nodes if n.load.get("child_faults", 0) > 3],
        what="the node's answer to say it",
    )
    assert farm.wait_for(farm.submit(), JobStatus.COMPLETED).attempt == 1


def test_child_that_stands_still_while_hints_wait_is_replaced_and_no_encode_feels_it(
    farm: ChaosFarm,
) -> None:
    agent, job, ffmpeg = busy(farm)
    child = child_of(agent)

    child.suspend()
    waiting = farm.submit()

    assert farm.wait_for(waiting, JobStatus.COMPLETED).attempt == 1
    assert is_replaced(agent, child)
    assert agent.metric("ffrtmp_worker_child_faults") >= 1
    assert ends_well(farm, job, ffmpeg)


def test_node_asks_by_itself_while_its_child_leaves_hints_untaken(farm: ChaosFarm) -> None:
    agent = start(farm, poll_interval=0.5, consumer_timeout=20)
    child = child_of(agent)
    child.suspend()

    job = farm.submit()

    assert farm.wait_for(job, JobStatus.COMPLETED).attempt == 1
    assert child.is_running()


def test_busy_child_is_left_alone_however_long_hints_wait(farm: ChaosFarm) -> None:
    agent = start(farm, consumer_timeout=2)
    farm.submit(duration=20)
    wait_until(agent.ffmpegs)[0].suspend()
    faults = agent.metric("ffrtmp_worker_child_faults")
    child = child_of(agent)

    farm.submit()
    heard = agent.metric("ffrtmp_worker_heartbeats_total")
    wait_until(lambda: agent.metric("ffrtmp_worker_heartbeats_total") > heard + 10)

    assert agent.celery_child() == child
    assert agent.metric("ffrtmp_worker_child_faults") == faults


def test_message_too_big_for_the_childs_memory_costs_no_job(farm: ChaosFarm) -> None:
    agent = start(farm, consumer_timeout=2)
    child = child_of(agent)
    room = child.memory_info().vms + BIG_BYTES // 2
    child.rlimit(psutil.RLIMIT_AS, (room, resource.RLIM_INFINITY))

    with farm.broker.client() as broker:
        broker.lpush("live", b"x" * BIG_BYTES)

    wait_until(lambda: not child.is_running(), what="the child to end")
    assert "MemoryError" in agent.text()
    assert farm.wait_for(farm.submit(), JobStatus.COMPLETED).attempt == 1
