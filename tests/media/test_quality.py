"""Outputs are compared with their sources: the right frames, in the right shape, by ffmpeg."""

import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.media import Metric
from ffrtmp.domain.retry import FailureClass
from tests.media.specs import BUNNY, FFMPEG, make_clip, plan, run
from tests.media.web import site
from workers.deadline import Deadline
from workers.errors import AttemptFailed, AttemptStopped
from workers.ffmpeg.command import transcode
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.probe import probe
from workers.ffmpeg.quality import measure
from workers.ffmpeg.started import ProcessIdentity, start_identity
from workers.inspection import Made
from workers.ledger import Held, StopReason
from workers.quality import Meter, Scores
from workers.reading import Reading
from workers.running import Encode, Running

EVERY = (Metric.VMAF, Metric.PSNR, Metric.SSIM)
SMALL = "scale=320:180"
TURNED = ("-display_rotation", "90")
BEHIND_SOUND = ("-itsoffset", "0.31")
TONE = ("-f", "lavfi", "-t", "1", "-i", "sine")
CLIPS: dict[str, tuple[str, ...]] = {
    "plain": ("-vf", SMALL),
    "odd": ("-vf", "scale=321:181", "-pix_fmt", "yuv444p"),
    "anamorphic": ("-vf", "scale=180:180,setsar=16/9"),
    "ten-bits": ("-vf", SMALL, "-pix_fmt", "yuv420p10le"),
    "full-range": ("-vf", f"{SMALL}:out_range=pc", "-pix_fmt", "yuvj420p", "-color_range", "pc"),
    "rgb": ("-vf", SMALL, "-pix_fmt", "bgr0", "-c:v", "ffv1"),
    "interlaced": ("-vf", f"fps=50,{SMALL},interlace", "-x264-params", "tff=1"),
    "uneven": ("-vf", f"{SMALL},select='not(eq(mod(n,3),1))'", "-fps_mode", "vfr"),
    "ntsc": ("-vf", f"{SMALL},fps=24000/1001"),
}
KEPT: dict[str, Any] = {"keeps_size": True}
BARS: dict[str, Any] = {"width": 400, "height": 320}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the clips lie, each made once."""
    return tmp_path_factory.mktemp("clips")


def clip(folder: Path, name: str = "plain", *, before: tuple[str, ...] = ()) -> Path:
    """A moving picture without loss, of this kind."""
    path = folder / f"{name}{len(before)}.mkv"
    if path.exists():
        return path
    given = ("-t", "0.6", *before, "-i", str(BUNNY), *TONE, "-map", "0:v", "-map", "1:a")
    lossless = ("-c:v", "libx264", "-qp", "0", "-preset", "ultrafast")
    return make_clip(path, *given, *lossless, *CLIPS[name])


def turned(folder: Path) -> Path:
    """A clip that players turn."""
    upright = clip(folder)
    return make_clip(folder / "turned.mp4", *TURNED, "-i", str(upright), "-c:v", "copy", "-an")


def running(folder: Path, source: Path | str | None, **environment: str) -> Running:
    held = Held(job_id="job-1", number=1, lease="lease")
    reading = Reading(location=str(source) if source else None, environment=environment)
    encode = Encode(log=BoundedLog())
    return Running(held, encode, lambda _: None, reading, scratch=folder)


def encoded(folder: Path, source: Path | None, **changes: Any) -> tuple[Plan, Made]:
    """A very good encode of the source."""
    usual: dict[str, Any] = {"crf": 4, "fps": None, "duration_seconds": None}
    if source is None:
        usual |= {"fps": "25", "duration_seconds": 0.6}
    planned = plan(probe(str(source)) if source else None, **usual | changes)
    output = folder / "out.mp4"
    location = str(source) if source else None
    argv = transcode(planned, ffmpeg=FFMPEG, source=location, destination=output, threads=1)
    end, log = run(argv)
    assert end.exit_code == 0, log
    facts = probe(str(output), count_frames=True)
    return planned, Made(picture=planned.pictures[0], path=output, facts=facts, is_playlist=False)


def scores(
    folder: Path, source: Path | None, made: tuple[Plan, Made], *metrics: Metric, left: float = 60.0
) -> Scores:
    meter = Meter(ffmpeg=FFMPEG, threads=1)
    deadline = Deadline.after(left, time.monotonic)
    return meter.scores(metrics or EVERY, *made, running(folder, source), deadline)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        ("plain", BARS),
        ("plain", KEPT | {"fps": "30"}),
        ("odd", KEPT),
        ("anamorphic", KEPT),
        ("anamorphic", BARS),
        ("ten-bits", KEPT | {"bit_depth": 8}),
        ("ten-bits", KEPT),
        ("full-range", KEPT),
        ("rgb", KEPT),
        ("interlaced", KEPT),
        ("uneven", KEPT),
        ("uneven", KEPT | {"fps": "30"}),
        ("ntsc", KEPT | {"duration_seconds": 0.3}),
    ],
    ids=str,
)
def test_good_encode_of_an_awkward_source_scores_high_in_every_frame(
    tmp_path: Path, shelf: Path, name: str, changes: dict[str, Any]
) -> None:
    source = clip(shelf, name)
    made = encoded(tmp_path, source, **changes)

    assert_high(scores(tmp_path, source, made), made)


def test_good_encode_of_a_turned_source_scores_high(tmp_path: Path) -> None:
    source = turned(tmp_path)
    made = encoded(tmp_path, source, **BARS)

    assert_high(scores(tmp_path, source, made), made)


def test_picture_that_begins_behind_its_sound_is_paired_frame_by_frame(
    tmp_path: Path, shelf: Path
) -> None:
    source = clip(shelf, before=BEHIND_SOUND)
    made = encoded(tmp_path, source, fps="12", audio="none", **KEPT)

    assert_high(scores(tmp_path, source, made), made)


def test_recordings_joined_into_one_are_paired_frame_by_frame(tmp_path: Path, shelf: Path) -> None:
    encoders = ("-c:v", "mpeg2video", "-q:v", "2", "-c:a", "mp2", "-t", "0.4")
    parts = [
        make_clip(tmp_path / f"{look}.ts", "-i", str(clip(shelf)), "-vf", look, *encoders)
        for look in ("null", "negate")
    ]
    source = tmp_path / "joined.ts"
    source.write_bytes(b"".join(part.read_bytes() for part in parts))
    made = encoded(tmp_path, source, fps="30", **KEPT)
    assert made[0].source is not None
    assert not made[0].source.has_one_clock

    assert_high(scores(tmp_path, source, made), made)


def test_test_source_is_compared_as_any_other(tmp_path: Path) -> None:
    made = encoded(tmp_path, None)

    assert_high(scores(tmp_path, None, made), made)


def assert_high(found: Scores, made: tuple[Plan, Made]) -> None:
    assert {score.frames for score in found.values()} == {made[1].facts.video.frames}
    assert found[Metric.VMAF].min > 94
    assert found[Metric.PSNR].min > 40
    assert found[Metric.SSIM].min > 0.98


def test_remote_source_is_read_with_the_environment_of_the_attempt(
    tmp_path: Path, shelf: Path
) -> None:
    source = clip(shelf)
    planned, made = encoded(tmp_path, source, **KEPT)
    deadline = Deadline.after(None, time.monotonic)

    with site(source, tmp_path) as there:
        process = running(tmp_path, there.url, SSL_CERT_FILE=str(there.authority))
        meter = Meter(ffmpeg=FFMPEG, threads=1)
        found = meter.scores((Metric.SSIM,), planned, made, process, deadline)

    assert found[Metric.SSIM].min > 0.98


def test_shift_by_one_frame_costs_the_score(tmp_path: Path) -> None:
    source, late = clip(tmp_path), tmp_path / "late"
    late.mkdir()
    later = make_clip(late / "a.mkv", "-i", str(source), "-vf", "select=gte(n\\,1)", "-qp", "0")
    made = encoded(tmp_path, later, **KEPT)

    found = scores(tmp_path, source, made)

    assert found[Metric.PSNR].mean < 35
    assert found[Metric.VMAF].mean < 85


def test_equal_pictures_have_a_number_and_poor_ones_a_low_one(tmp_path: Path, shelf: Path) -> None:
    source = clip(shelf)
    equal = scores(tmp_path, source, encoded(tmp_path, source, crf=0, **KEPT))
    poor = scores(tmp_path, source, encoded(tmp_path, source, crf=51, **KEPT))

    assert (equal[Metric.PSNR].min, equal[Metric.SSIM].min) == (100.0, 1.0)
    assert equal[Metric.VMAF].min > 97
    assert poor[Metric.VMAF].mean < 30
    assert poor[Metric.PSNR].mean < 30
    assert poor[Metric.SSIM].mean < 0.7


def test_source_that_ends_early_is_no_measure(tmp_path: Path, shelf: Path) -> None:
    source = clip(shelf)
    made = encoded(tmp_path, source, **KEPT)
    short = make_clip(tmp_path / "short.mkv", "-i", str(source), "-frames:v", "9", "-c", "copy")

    with pytest.raises(AttemptFailed, match=r"the source ended early: psnr has 9 of 15 frames"):
        scores(tmp_path, short, made, Metric.PSNR)


def test_time_out_covers_the_measuring(tmp_path: Path) -> None:
    made = encoded(tmp_path, None, width=160, duration_seconds=16.0, crf=30)

    with pytest.raises(AttemptFailed) as failed:
        scores(tmp_path, None, made, left=0.0)

    assert failed.value.failure_class is FailureClass.LIMIT_EXCEEDED


def test_measuring_that_is_stopped_as_it_starts_leaves_no_process(tmp_path: Path) -> None:
    started: list[ProcessIdentity] = []

    def stop(process: ProcessIdentity) -> None:
        started.append(process)
        raise AttemptStopped(StopReason.CANCELED)

    held = Held(job_id="job-1", number=1, lease="lease")
    reading = Reading(location=None, environment={})
    process = Running(held, Encode(log=BoundedLog()), stop, reading, scratch=tmp_path)
    planned, made = encoded(tmp_path, None)
    deadline = Deadline.after(None, time.monotonic)

    with pytest.raises(AttemptStopped):
        Meter(ffmpeg=FFMPEG, threads=1).scores(EVERY, planned, made, process, deadline)

    assert start_identity(started[0].pid) is None


def test_measuring_counts_for_itself_not_for_the_encode(tmp_path: Path, shelf: Path) -> None:
    source = clip(shelf)
    planned, made = encoded(tmp_path, source, **KEPT)
    process = running(tmp_path, source)
    deadline = Deadline.after(None, time.monotonic)

    Meter(ffmpeg=FFMPEG, threads=1).scores((Metric.SSIM,), planned, made, process, deadline)

    assert (process.encode.seconds, process.encode.frames) == (0.0, None)


def test_memory_of_the_measuring_does_not_grow_with_the_film(tmp_path: Path) -> None:
    assert peak_of(tmp_path, frames=400) < 1.5 * peak_of(tmp_path, frames=50)


def peak_of(folder: Path, *, frames: int) -> int:
    """The most memory that measuring so many frames takes, in KiB."""
    seconds = frames / 25
    planned, made = encoded(folder, None, width=160, duration_seconds=seconds, crf=30)
    argv = measure(
        EVERY, *(planned, made.picture), ffmpeg=FFMPEG, source=None, output=made.access, threads=2
    )
    quiet = subprocess.DEVNULL
    process = subprocess.Popen(argv, cwd=folder, env={}, stdout=quiet, stderr=quiet)
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    assert process.returncode == 0
    assert len((folder / "vmaf.csv").read_text().splitlines()) == frames + 1
    return used.ru_maxrss
