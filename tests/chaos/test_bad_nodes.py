"""Jobs that break their node, and nodes that break their jobs."""

from pathlib import Path

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.node import NodeStatus
from ffrtmp.domain.retry import FailureClass
from tests.chaos.conftest import MakeFarm
from tests.chaos.farm import ChaosFarm
from tests.chaos.wrapped import wrapped_ffmpeg
from tests.waiting import wait_until


def test_job_that_kills_its_agent_every_time_ends_as_failed_and_the_node_serves_the_next(
    farm: ChaosFarm, tmp_path: Path
) -> None:
    ffmpeg = wrapped_ffmpeg(tmp_path / "ffmpeg", "kill -9 $PPID; sleep 60", only="poison")
    agent = farm.start_agent("victim", ffmpeg=ffmpeg)
    poison = farm.client.submit(
        {
            "scenario": "360p30-h264",
            "max_retries": 1,
            "parameters": {"duration": 0.1, "output": str(tmp_path / "poison.mp4")},
        }
    )
    healthy = farm.submit()

    restarts = 0
    while not farm.client.job(poison.id).status.is_terminal:
        if agent.popen.poll() is not None:
            restarts += 1
            agent = farm.start_agent("victim", ffmpeg=ffmpeg).ready()
        assert restarts <= 2

    ended = farm.client.job(poison.id)
    assert (ended.status, ended.failure_reason) == (JobStatus.FAILED, FailureClass.NODE_LOST)
    outcomes = [one.outcome for one in farm.client.attempts(poison.id).attempts]
    assert outcomes == [Outcome.NODE_LOST, Outcome.NODE_LOST]
    assert farm.wait_for(healthy, JobStatus.COMPLETED).attempt == 1
    assert list(tmp_path.glob(".poison*")) == []


def test_node_whose_ffmpeg_always_crashes_is_set_aside_and_every_job_still_completes(
    make_farm: MakeFarm, tmp_path: Path
) -> None:
    farm = make_farm(max_retries=1)
    crashes = tmp_path / "crashes"
    crashes.touch()
    ffmpeg = wrapped_ffmpeg(tmp_path / "ffmpeg", f"[ -e {crashes} ] && kill -SEGV $$")
    farm.start_agent("broken", ffmpeg=ffmpeg).ready()
    farm.start_agent("good").ready()

    jobs = [farm.submit(duration=1) for _ in range(8)]

    for job in jobs:
        assert farm.wait_for(job, JobStatus.COMPLETED, seconds=60).node_name == "good"
    broken = wait_until(
        lambda: next(
            (
                node
                for node in farm.client.nodes().nodes
                if node.name == "broken" and node.status is NodeStatus.DRAINING
            ),
            None,
        )
    )
    assert broken.drain_reason is not None
    assert broken.drain_reason.startswith("set aside: 3 different jobs in a row failed here")
    assert "SIGSEGV" in broken.drain_reason
    assert [farm.client.job(job.id).retry_count for job in jobs] == [0] * len(jobs)

    crashes.unlink()
    farm.client.drain("good")
    farm.client.undrain("broken")
    again = farm.wait_for(farm.submit(), JobStatus.COMPLETED)
    assert again.node_name == "broken"
