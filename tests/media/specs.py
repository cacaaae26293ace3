"""Specs and clips for the tests that really run ffmpeg: tiny, so that they run everywhere."""

import subprocess
from pathlib import Path
from typing import Any

from ffrtmp.schemas import JobSpec
from workers.ffmpeg.binary import find_ffmpeg
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.process import FfmpegProcess, ProcessEnd

BUNNY = Path(__file__).parent / "bigbuckbunny.mp4"
FFMPEG = find_ffmpeg(None)


def spec(**changes: Any) -> JobSpec:
    """A small synthetic H.264 job with the given changes."""
    values: dict[str, Any] = {
        "input": None,
        "output": None,
        "overwrite": False,
        "is_stream": False,
        "timeout_seconds": None,
        "hardware": "auto",
        "width": 128,
        "height": 96,
        "fps": "25",
        "codec": "h264",
        "preset": "ultrafast",
        "crf": 35,
        "bits_per_second": None,
        "audio": "auto",
        "container": "mp4",
        "live": False,
        "duration_seconds": 0.6,
    }
    return JobSpec.model_validate(values | changes)


def run(argv: tuple[str, ...], *, timeout_seconds: float = 60) -> tuple[ProcessEnd, str]:
    """Run to the end; how it ended and what it said."""
    log = BoundedLog()
    end = FfmpegProcess(argv, timeout_seconds=timeout_seconds).run(lambda _: None, log)
    return end, log.text()


def make_clip(path: Path, *arguments: str) -> Path:
    """A file made by ffmpeg from the given arguments."""
    subprocess.run(
        [str(FFMPEG), "-loglevel", "error", "-nostdin", "-y", *arguments, str(path)],
        check=True,
        env={},
    )
    return path
