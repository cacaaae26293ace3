"""Outputs that lead out of the node's roots, or over what is not theirs: nothing is touched."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import JobAnswer
from tests.integration.agents import job_with
from tests.security.attacker import Canary, WebServer
from tests.security.target import Target
from tests.waiting import wait_until

VICTIM = b"what must not be touched"
LONG: dict[str, Any] = {"scenario": "720p30-h264", "parameters": {"duration": 5}}


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    path = tmp_path / "victim.mp4"
    path.write_bytes(VICTIM)
    return path


@pytest.fixture
def folder(target: Target, tmp_path: Path) -> Path:
    made = target.out / tmp_path.name
    made.mkdir()
    return made


def written_to(target: Target, output: Path | str, **parameters: Any) -> JobAnswer:
    """How a job with this output ends."""
    job = target.attack(str(target.film), output=str(output), **parameters)
    return job_with(target.master, job, JobStatus.FAILED, JobStatus.COMPLETED)


def refused(job: JobAnswer) -> bool:
    return (job.status, job.attempt, job.failure_reason) == (
        JobStatus.FAILED,
        1,
        FailureClass.OUTPUT_REFUSED,
    )


@pytest.mark.parametrize("overwrite", [False, True])
def test_output_outside_the_roots_is_refused(
    target: Target, victim: Path, folder: Path, overwrite: bool
) -> None:
    (folder / "link").symlink_to(victim.parent)
    (folder / "loop").symlink_to("loop")
    ways = (
        *(victim, victim.with_name("new.mp4"), "/etc/cron.d/x.mp4", "/root/x.mp4"),
        *(folder / "link" / victim.name, folder / "link/new.mp4", folder / "link/deep/new.mp4"),
        *(folder / "loop/x.mp4", target.master.folder / "x.mp4", f"//{victim}"),
    )
    jobs = [target.attack(str(target.film), output=str(way), overwrite=overwrite) for way in ways]

    ended = [target.ended(job) for job in jobs]

    assert [way for way, job in zip(ways, ended, strict=True) if not refused(job)] == []
    assert victim.read_bytes() == VICTIM
    assert [path.name for path in victim.parent.iterdir()] == [victim.name]


def as_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim)


def as_dead_link(path: Path, victim: Path) -> None:
    path.symlink_to(victim.with_name("new.mp4"))


def as_folder(path: Path, victim: Path) -> None:
    path.mkdir()


def as_pipe(path: Path, victim: Path) -> None:
    os.mkfifo(path)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("lay", [as_link, as_dead_link, as_folder, as_pipe])
def test_what_is_no_file_is_never_an_output(
    target: Target,
    victim: Path,
    folder: Path,
    lay: Callable[[Path, Path], None],
    overwrite: bool,
) -> None:
    lay(folder / "x.mp4", victim)
    before = (folder / "x.mp4").lstat()

    assert refused(written_to(target, folder / "x.mp4", overwrite=overwrite))

    assert (folder / "x.mp4").lstat() == before
    assert victim.read_bytes() == VICTIM
    assert list(victim.parent.iterdir()) == [victim]
    assert list(folder.iterdir()) == [folder / "x.mp4"]


def test_file_of_others_stays_unless_overwriting_is_asked(target: Target, folder: Path) -> None:
    (folder / "x.mp4").write_bytes(VICTIM)

    first = written_to(target, folder / "x.mp4")

    assert (first.status, first.failure_reason) == (JobStatus.FAILED, FailureClass.OUTPUT_EXISTS)
    assert (folder / "x.mp4").read_bytes() == VICTIM
    assert written_to(target, folder / "x.mp4", overwrite=True).status is JobStatus.COMPLETED
    assert (folder / "x.mp4").read_bytes() != VICTIM


def test_output_of_two_jobs_is_that_of_one(target: Target, folder: Path) -> None:
    jobs = [
        target.attack(str(target.film), output=str(folder / "x.mp4"), crf=crf) for crf in (20, 40)
    ]

    ended = [job_with(target.master, job, JobStatus.FAILED, JobStatus.COMPLETED) for job in jobs]

    (done,) = [job for job in ended if job.status is JobStatus.COMPLETED]
    (other,) = [job for job in ended if job.status is JobStatus.FAILED]
    assert other.failure_reason is FailureClass.OUTPUT_EXISTS
    assert done.result is not None
    assert list(folder.iterdir()) == [folder / "x.mp4"]
    assert (folder / "x.mp4").stat().st_size == done.result["size_bytes"]


def test_input_is_never_the_output_under_whatever_name(target: Target, tmp_path: Path) -> None:
    film = target.media / f"{tmp_path.name}.mp4"
    film.write_bytes(target.film.read_bytes())
    before = film.read_bytes()
    hard, soft = film.with_suffix(".hard.mp4"), film.with_suffix(".soft.mp4")
    hard.hardlink_to(film)
    soft.symlink_to(film)
    there = target.media / "there"
    there.symlink_to(target.media)
    ways = (hard, soft, there / film.name, f"{target.media}/./{film.name}", f"/{film}")

    assert target.refusal(input=str(film), output=str(film), overwrite=True) == (
        422,
        "parameters.output",
    )
    jobs = [target.attack(str(film), output=str(way), overwrite=True) for way in ways]

    assert [refused(target.ended(job)) for job in jobs] == [True] * len(ways)
    assert film.read_bytes() == before
    there.unlink()


def test_folder_with_the_input_or_files_of_others_stays_as_it_is(
    target: Target, tmp_path: Path
) -> None:
    folder = target.media / tmp_path.name
    folder.mkdir()
    film = folder / "film.mp4"
    film.write_bytes(target.film.read_bytes())
    several: dict[str, Any] = {"renditions": [{"resolution": "128x96"}], "audio": "none"}
    ways: tuple[tuple[Path, Path, bool], ...] = (
        (film, folder, True),
        (film, target.media, True),
        (target.film, folder, False),
        (target.film, film.with_name("film"), False),
    )
    film.with_name("film").write_bytes(VICTIM)
    jobs = [
        target.master.client.submit(
            {
                "scenario": "h264",
                "parameters": several
                | {"input": str(source), "output": str(place), "overwrite": overwrite},
            }
        )
        for source, place, overwrite in ways
    ]

    ended = [job_with(target.master, job, JobStatus.FAILED, JobStatus.COMPLETED) for job in jobs]

    assert [job.status for job in ended] == [JobStatus.FAILED] * len(ways)
    assert {job.failure_reason for job in ended} <= {
        FailureClass.OUTPUT_REFUSED,
        FailureClass.OUTPUT_EXISTS,
    }
    assert sorted(path.name for path in folder.iterdir()) == ["film", "film.mp4"]
    assert film.read_bytes() == target.film.read_bytes()


def test_folder_that_becomes_a_link_during_the_encode_leads_nowhere(
    target: Target, folder: Path, tmp_path: Path
) -> None:
    place = folder / "place"
    outside = tmp_path / "outside"
    outside.mkdir()
    long = LONG | {"parameters": {**LONG["parameters"], "output": str(place / "x.mp4")}}
    job = target.master.client.submit(long)
    ffmpeg = wait_until(target.agent.ffmpegs)[0]
    ffmpeg.suspend()

    place.rename(folder / "moved")
    place.symlink_to(outside)
    ffmpeg.resume()

    ended = job_with(target.master, job, JobStatus.FAILED, JobStatus.COMPLETED)
    assert ended.status is JobStatus.FAILED
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize("overwrite", [False, True])
def test_link_under_the_temporary_name_is_not_written_through(
    target: Target, folder: Path, victim: Path, overwrite: bool
) -> None:
    with target.idle():
        job = target.attack(str(target.film), output=str(folder / "x.mp4"), overwrite=overwrite)
        for attempt in range(1, 5):
            (folder / f".x.mp4.{job.id}.{attempt}.part").symlink_to(victim)

    assert refused(target.ended(job))
    assert victim.read_bytes() == VICTIM


def test_upload_to_a_host_that_only_the_node_can_reach_is_refused(
    target: Target, web: WebServer
) -> None:
    canary = Canary("127.0.0.2")
    web.redirect("x.mp4", f"http://{canary.place}/x.mp4")
    ways = (f"http://{canary.place}/x.mp4", "http://169.254.169.254/x.mp4", "http://[::1]:9/x.mp4")
    jobs = [target.attack(str(target.film), output=way) for way in (*ways, web.url("x.mp4"))]

    ended = [job_with(target.master, job, JobStatus.FAILED, JobStatus.COMPLETED) for job in jobs]
    canary.close()

    assert canary.visits == 0
    assert [refused(job) for job in ended] == [True] * len(jobs)
