"""Inputs that vanish, change, hang or never end while they are encoded."""

from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import AttemptAnswer, JobAnswer
from tests.chaos.farm import ChaosFarm
from tests.chaos.inputs import BadServer, bad_server
from tests.integration.agents import AgentProcess
from tests.media.specs import make_clip
from tests.waiting import wait_until

STALL_SECONDS = 3.0


@pytest.fixture(scope="module")
def module_farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ChaosFarm]:
    """Stalls are noticed soon."""
    farm = ChaosFarm(tmp_path_factory.mktemp("farm"), stall_timeout=STALL_SECONDS)
    try:
        yield farm.start()
    finally:
        farm.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[BadServer]:
    with bad_server(tmp_path) as running:
        yield running


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    source = ("-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30:duration=20")
    return make_clip(tmp_path / "clip.mp4", *source, "-preset", "ultrafast", "-an")


def remove(clip: Path) -> None:
    clip.unlink()


def cut(clip: Path) -> None:
    with clip.open("r+b") as file:
        file.truncate(clip.stat().st_size // 2)


def write_over(clip: Path) -> None:
    size = clip.stat().st_size
    with clip.open("r+b") as file:
        file.seek(size // 2)
        file.write(bytes(4096))


def replace(clip: Path) -> None:
    other = clip.with_name("other.mp4")
    other.write_bytes(clip.read_bytes())
    other.replace(clip)


def suspended_encode(farm: ChaosFarm, agent: AgentProcess, job: JobAnswer) -> psutil.Process:
    ffmpeg = wait_until(agent.ffmpegs)[0]
    ffmpeg.suspend()
    assert farm.client.job(job.id).status is JobStatus.RUNNING
    return ffmpeg


@pytest.mark.parametrize(
    ("hurt", "failure"),
    [
        (remove, FailureClass.INPUT_MISSING),
        (cut, FailureClass.BAD_INPUT),
        (write_over, FailureClass.BAD_INPUT),
        (replace, FailureClass.BAD_INPUT),
    ],
)
def test_input_that_disappears_or_changes_during_the_encode_fails_the_job_and_nothing_is_published(
    farm: ChaosFarm,
    clip: Path,
    tmp_path: Path,
    hurt: Callable[[Path], None],
    failure: FailureClass,
) -> None:
    agent = farm.start_agent("reader").ready()
    output = tmp_path / "wanted.mp4"
    job = farm.client.submit(
        {
            "scenario": "1080p30-h264",
            "parameters": {"input": str(clip), "output": str(output), "preset": "ultrafast"},
        }
    )
    ffmpeg = suspended_encode(farm, agent, job)

    hurt(clip)
    ffmpeg.resume()

    failed = farm.wait_for(job, JobStatus.FAILED, seconds=60)
    assert (failed.attempt, failed.failure_reason) == (1, failure)
    assert failed.error is not None
    assert f"input {clip}" in failed.error
    assert list(tmp_path.rglob("*wanted*")) == []


def test_input_that_never_ends_is_ended_by_the_limit_asked_for_and_not_tried_again(
    farm: ChaosFarm, server: BadServer
) -> None:
    farm.start_agent("reader").ready()

    job = farm.submit(
        input=server.url("endless"),
        duration=None,
        resource_limits={"timeout_sec": STALL_SECONDS * 2},
    )

    failed = farm.wait_for(job, JobStatus.FAILED, seconds=60)
    assert (failed.attempt, failed.failure_reason) == (1, FailureClass.LIMIT_EXCEEDED)


def test_ffmpeg_that_waits_for_its_input_is_ended_as_stalled_and_the_job_tried_again(
    farm: ChaosFarm, server: BadServer
) -> None:
    agent = farm.start_agent("reader").ready()
    job = farm.submit(input=server.url("hangs"), duration=None)
    ffmpeg = wait_until(agent.ffmpegs)[0]

    first = first_ended_attempt(farm, job)

    assert (first.outcome, first.failure_class) == (Outcome.FAILED, FailureClass.STALLED)
    psutil.wait_procs([ffmpeg], timeout=10)
    assert not ffmpeg.is_running()
    assert farm.client.job(job.id).retry_count >= 1


def test_frozen_ffmpeg_is_ended_with_its_whole_group_and_the_job_completes_in_another_attempt(
    farm: ChaosFarm,
) -> None:
    agent = farm.start_agent("reader").ready()
    job = farm.submit("720p30-h264", duration=10, preset="ultrafast")
    ffmpeg = suspended_encode(farm, agent, job)

    first = first_ended_attempt(farm, job)

    assert (first.outcome, first.failure_class) == (Outcome.FAILED, FailureClass.STALLED)
    psutil.wait_procs([ffmpeg], timeout=10)
    assert not ffmpeg.is_running()
    done = farm.wait_for(job, JobStatus.COMPLETED, seconds=60)
    assert (done.attempt, done.retry_count) == (2, 1)


def first_ended_attempt(farm: ChaosFarm, job: JobAnswer) -> AttemptAnswer:
    return wait_until(
        lambda: next(
            (one for one in farm.client.attempts(job.id).attempts if one.ended_at is not None),
            None,
        )
    )
