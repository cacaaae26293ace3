"""Disks without space, and outputs that cannot be written."""

from collections.abc import Iterator
from pathlib import Path
from typing import cast

import pytest

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from tests.chaos.dead_mount import MakeDeadMount, dead_mounts
from tests.chaos.disks import Disk, disks
from tests.chaos.farm import ChaosFarm
from tests.waiting import wait_until

FARM_SETTINGS = {"node_timeout": 3.0}
"""Silence is found out soon."""


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


@pytest.fixture(params=dead_mounts())
def dead_mount(request: pytest.FixtureRequest) -> MakeDeadMount:
    return cast("MakeDeadMount", request.param)


def test_node_whose_work_folder_does_not_answer_keeps_its_encodes_and_takes_none(
    dead_mount: MakeDeadMount, farm: ChaosFarm, tmp_path: Path
) -> None:
    work = tmp_path / "work"
    work.mkdir()
    agent = farm.start_agent("host", slots=2, work_dir=work).ready()
    running = farm.submit(duration=20, output=str(tmp_path / "elsewhere.mp4"))
    ffmpeg = wait_until(agent.ffmpegs)[0]
    ffmpeg.suspend()

    with dead_mount(work):
        waiting = farm.submit()
        wait_until(lambda: farm.client.node("host").load.get("disk_answers") is False)
        farm.let_time_pass(1.5 * farm.settings.node_timeout)
        seen = farm.client.job(running.id)
        assert farm.client.job(waiting.id).status is JobStatus.PENDING
    ffmpeg.resume()

    assert (seen.status, seen.attempt) == (JobStatus.RUNNING, 1)
    for job in (running, waiting):
        assert farm.wait_for(job, JobStatus.COMPLETED).attempt == 1


def test_slot_whose_input_lies_on_a_dead_mount_is_written_off_until_that_answers(
    dead_mount: MakeDeadMount, farm: ChaosFarm, tmp_path: Path
) -> None:
    media = tmp_path / "media"
    media.mkdir()
    farm.start_agent("host", slots=2, kill_timeout=1).ready()

    with dead_mount(media):
        stuck = farm.submit(input=str(media / "film.mp4"))
        farm.wait_for(stuck, JobStatus.RUNNING)
        farm.client.cancel(stuck.id)
        wait_until(lambda: farm.client.node("host").slots_lost == 1)
        assert farm.wait_for(farm.submit(), JobStatus.COMPLETED).attempt == 1

    wait_until(lambda: farm.client.node("host").slots_lost == 0)
