"""A GPU that fails in mid-encode does so in the words, the order and the time of a real one."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ffrtmp.domain.media import Hardware
from ffrtmp.domain.retry import FailureClass
from tests.gpus.standin import write_standin
from tests.media.specs import FFMPEG, command, run
from tests.waiting import wait_until
from workers.ffmpeg.failures import classify
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.probe import probe
from workers.ffmpeg.process import FfmpegProcess, ProcessEnd
from workers.ffmpeg.progress import Progress
from workers.ffmpeg.target import Target

NODE = "/dev/dri/renderD128"
NVENC = Target(hardware=Hardware.NVENC, address="0")
TARGETS = (
    NVENC,
    Target(hardware=Hardware.QSV, address=NODE),
    Target(hardware=Hardware.VAAPI, address=NODE),
)
SLOW = ("-re", "-f", "lavfi", "-i", "testsrc2=size=160x96:rate=1")
CHANGING = "sendcmd=c='0.5 scale width 160',scale=w=320:h=240"
"""Filters that change the size on the way, which libx264 fails for."""


@pytest.fixture
def ffmpeg(tmp_path: Path) -> Path:
    moods = {str(t.hardware): {str(t.address): "fails_midway"} for t in TARGETS}
    return write_standin(tmp_path / "gpus", behaviour=moods)  # type: ignore[arg-type]


@pytest.fixture
def slow(ffmpeg: Path) -> Iterator[FfmpegProcess]:
    """An encode that takes half a minute to come to where it fails."""
    argv = (str(ffmpeg), *SLOW, "-c:v", "h264_nvenc", "-f", "null", "-")
    process = FfmpegProcess(argv)
    process.start()
    yield process
    process.close()


def encode(ffmpeg: Path, target: Target, **changes: Any) -> tuple[ProcessEnd, str, list[Progress]]:
    """How it ends, what it says, and how far it came."""
    destination = ffmpeg.parent / "out.mp4"
    argv = command(destination=destination, ffmpeg=ffmpeg, target=target, width=160, **changes)
    log, progress = BoundedLog(), list[Progress]()
    end = FfmpegProcess(argv, timeout_seconds=60).run(progress.append, log)
    return end, log.text(), progress


def told(log: str) -> list[str]:
    """Its errors after the encoder's own, without what differs between encoders and reasons."""
    lines = [line for line in log.splitlines() if "[error]" in line][1:]
    nameless = [re.sub(r"(/|enc:)\w+ @ 0x\w+", "", line) for line in lines]
    return [re.sub(r"(code:?|frame:) .*", r"\1", line) for line in nameless]


def child_of(process: FfmpegProcess) -> psutil.Process | None:
    """The real ffmpeg of a stand-in that waits for it."""
    assert process.identity is not None
    children = psutil.Process(process.identity.pid).children()
    is_real = bool(children) and Path(children[0].exe()) == FFMPEG.resolve()
    return children[0] if is_real else None


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.hardware)
def test_encode_fails_as_hardware_after_its_frames(ffmpeg: Path, target: Target) -> None:
    end, log, progress = encode(ffmpeg, target, duration_seconds=60)

    assert end.exit_code == {Hardware.NVENC: 244}.get(target.hardware, 251), log
    found = classify(exit_code=end.exit_code, signal=None, stderr=log)
    assert found.failure_class is FailureClass.HARDWARE
    assert progress[-1].frame == 30
    facts = probe(str(ffmpeg.parent / "out.mp4"), count_frames=True)
    assert facts.video is not None
    assert not list(ffmpeg.parent.glob("frames-*"))


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.hardware)
def test_encode_of_fewer_frames_works(ffmpeg: Path, target: Target) -> None:
    end, log, _ = encode(ffmpeg, target, duration_seconds=1)

    assert end.exit_code == 0, log


def test_real_encoder_that_fails_midway_is_told_of_in_the_same_lines(ffmpeg: Path) -> None:
    picture = ("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=30", "-t", "3", "-vf", CHANGING)
    level, output = ("-loglevel", "level+error"), ("-f", "null", "-")
    _, real = run((str(FFMPEG), *level, *picture, "-c:v", "libx264", *output))

    _, log, _ = encode(ffmpeg, NVENC, duration_seconds=3)

    assert len(told(real)) == 4
    assert told(log) == told(real)


def test_kill_of_the_process_leaves_no_encode(slow: FfmpegProcess) -> None:
    child = wait_until(lambda: child_of(slow))
    assert slow.identity is not None

    os.kill(slow.identity.pid, signal.SIGKILL)

    wait_until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE, seconds=5)


def test_request_to_end_is_heard_as_ffmpeg_hears_it(ffmpeg: Path, slow: FfmpegProcess) -> None:
    assert slow.identity is not None
    wait_until(lambda: list(ffmpeg.parent.glob("frames-*")))
    os.kill(slow.identity.pid, signal.SIGTERM)
    log = BoundedLog()

    end = slow.run(lambda _: None, log)

    assert end.exit_code == 255
    assert "Exiting normally, received signal 15." in log.text()
