"""An ffmpeg that nothing can end: its slot is written off, and nobody waits for it."""

import pytest

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.node import NodeStatus
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import NodeAnswer
from tests.chaos.conftest import MakeFarm
from tests.chaos.farm import ChaosFarm
from tests.chaos.unkillable import Hold, holds, traced
from tests.waiting import wait_until

KILL_SECONDS = 1.0


@pytest.mark.parametrize("hold", holds())
def test_slot_of_an_ffmpeg_that_cannot_be_killed_is_written_off_and_the_attempt_fails(
    farm: ChaosFarm, hold: Hold
) -> None:
    agent = farm.start_agent("stuck", kill_timeout=KILL_SECONDS).ready()
    job = farm.submit(duration=3600, resource_limits={"timeout_sec": 2})
    ffmpeg = wait_until(agent.ffmpegs)[0]

    with hold(ffmpeg.pid):
        failed = farm.wait_for(job, JobStatus.FAILED)
        assert ffmpeg.is_running()
        wait_until(lambda: node_of(farm, "stuck").slots_lost == 1)
        node = node_of(farm, "stuck")
        next_job = farm.submit()
        wait_for_heartbeats(farm, "stuck", 2)
        assert farm.client.job(next_job.id).status is JobStatus.PENDING

    assert (failed.attempt, failed.failure_reason) == (1, FailureClass.LIMIT_EXCEEDED)
    assert failed.error is not None
    assert "cannot be killed" in failed.error
    assert (node.status, node.slots, node.slots_busy) == (NodeStatus.BUSY, 1, 0)
    done = farm.wait_for(next_job, JobStatus.COMPLETED)
    assert (done.node_name, node_of(farm, "stuck").slots_lost) == ("stuck", 0)
    assert agent.parts() == []
    assert not ffmpeg.is_running()


def test_stalled_job_goes_on_elsewhere_and_the_agent_stops_though_its_ffmpeg_cannot_be_killed(
    make_farm: MakeFarm,
) -> None:
    farm = make_farm(stall_timeout=2)
    stuck = farm.start_agent("stuck", kill_timeout=KILL_SECONDS).ready()
    job = farm.submit("720p30-h264", duration=10, preset="ultrafast")
    ffmpeg = wait_until(stuck.ffmpegs)[0]

    with traced(ffmpeg.pid):
        ffmpeg.suspend()
        farm.start_agent("other").ready()
        done = farm.wait_for(job, JobStatus.COMPLETED)
        wait_until(lambda: node_of(farm, "stuck").slots_lost == 1)
        status = stuck.end()
        assert ffmpeg.is_running()

    assert status == 0
    assert (done.node_name, done.attempt, done.retry_count) == ("other", 2, 1)
    first = farm.client.attempts(job.id).attempts[0]
    assert (first.outcome, first.failure_class) == (Outcome.FAILED, FailureClass.STALLED)


def test_stopping_agent_gives_back_what_it_cannot_kill(farm: ChaosFarm) -> None:
    agent = farm.start_agent("leaving", drain_timeout=0.1).ready()
    job = farm.submit(duration=3600)
    ffmpeg = wait_until(agent.ffmpegs)[0]

    with traced(ffmpeg.pid):
        status = agent.end()

    given_back = farm.client.job(job.id)
    assert status == 0
    assert (given_back.status, given_back.retry_count) == (JobStatus.PENDING, 0)


def node_of(farm: ChaosFarm, name: str) -> NodeAnswer:
    return farm.client.node(name)


def wait_for_heartbeats(farm: ChaosFarm, name: str, count: int) -> None:
    """Time in which the node could have taken something."""
    seen = {node_of(farm, name).last_heartbeat}

    def heard() -> bool:
        seen.add(node_of(farm, name).last_heartbeat)
        return len(seen) > count

    wait_until(heard)
