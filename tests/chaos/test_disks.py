"""Disks without space, and outputs that cannot be written."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from tests.chaos.disks import Disk, disks
from tests.chaos.farm import ChaosFarm
from tests.waiting import wait_until


@pytest.fixture(params=disks())
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """Asked for before the farm, it outlives the look at the farm's files."""
    with request.param(tmp_path) as disk:
        yield disk


def test_node_whose_disk_fills_up_hands_its_job_on_and_takes_none_until_space_is_back(
    disk: Disk, farm: ChaosFarm, tmp_path: Path
) -> None:
    small = farm.start_agent("small", work_dir=disk.folder, ffmpeg=disk.ffmpeg).ready()
    job = farm.submit("1080p30-h264", duration=3600, preset="ultrafast")
    wait_until(small.ffmpegs)

    disk.fill()

    wait_until(lambda: farm.client.job(job.id).retry_count == 1)
    (attempt,) = farm.client.attempts(job.id).attempts
    assert attempt.failure_class is FailureClass.NO_SPACE
    assert list(tmp_path.rglob("*.part")) == []

    other = farm.start_agent("other").ready()
    assert farm.wait_for(job, JobStatus.RUNNING).node_name == "other"
    farm.client.cancel(job.id)
    other.end()
    waiting = farm.submit(output=str(farm.folder / f"{tmp_path.name}.mp4"))
    seen = {farm.client.node("small").last_heartbeat}

    def heard_thrice() -> bool:
        seen.add(farm.client.node("small").last_heartbeat)
        return len(seen) > 3

    wait_until(heard_thrice)
    assert farm.client.job(waiting.id).status is JobStatus.PENDING

    disk.free()
    done = farm.wait_for(waiting, JobStatus.COMPLETED)
    assert (done.node_name, done.attempt) == ("small", 1)


def test_full_destination_fails_the_job_as_such_and_leaves_no_partial_file(
    disk: Disk, farm: ChaosFarm, tmp_path: Path
) -> None:
    agent = farm.start_agent("writer", ffmpeg=disk.ffmpeg).ready()
    output = disk.folder / "wanted.mp4"
    job = farm.client.submit(
        {
            "scenario": "1080p30-h264",
            "max_retries": 0,
            "parameters": {
                "duration": 3600,
                "preset": "ultrafast",
                "output": str(output),
            },
        }
    )
    wait_until(agent.ffmpegs)

    disk.fill()

    failed = farm.wait_for(job, JobStatus.FAILED)
    assert failed.failure_reason is FailureClass.NO_SPACE
    assert list(tmp_path.rglob("*wanted*")) == []


@pytest.mark.parametrize("folder", ["/sys/kernel", "/dev/null"])
def test_destination_that_cannot_be_written_is_refused_for_good(
    farm: ChaosFarm, folder: str
) -> None:
    farm.start_agent("writer").ready()

    job = farm.submit(output=f"{folder}/wanted.mp4")

    failed = farm.wait_for(job, JobStatus.FAILED)
    assert (failed.attempt, failed.failure_reason) == (1, FailureClass.OUTPUT_REFUSED)
