"""Specs and clips for the tests that really run ffmpeg: tiny, so that they run everywhere."""

import subprocess
from fractions import Fraction
from pathlib import Path
from typing import Any

from ffrtmp.domain.media import FrameSize
from ffrtmp.domain.spec import JobSpec
from ffrtmp.schemas import SPEC
from workers.ffmpeg.binary import find_ffmpeg
from workers.ffmpeg.command import transcode
from workers.ffmpeg.facts import AudioFacts, MediaFacts, VideoFacts
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.plan import Plan, plan_of
from workers.ffmpeg.process import FfmpegProcess, ProcessEnd
from workers.ffmpeg.target import CPU, Target

BUNNY = Path(__file__).parent / "bigbuckbunny.mp4"
FFMPEG = find_ffmpeg(None)


_OF_RENDITION = ("fps", "crf", "bits_per_second", "max_bits_per_second")
SOURCE = MediaFacts(
    container="matroska,webm",
    duration_seconds=4.0,
    size_bytes=1000,
    video=VideoFacts(
        codec="h264",
        width=640,
        height=480,
        rotation_degrees=0,
        fps=Fraction(25),
        frames=100,
        pixel_format="yuv420p",
        start_seconds=0.0,
        end_seconds=4.0,
    ),
    audio=(AudioFacts(codec="aac", channels=2, sample_rate=48000, end_seconds=4.0),),
)
"""A source for plans of files that are never read."""


def spec(**changes: Any) -> JobSpec:
    """A small synthetic H.264 job with the given changes.

    ``width`` and ``height`` (or ``keeps_size``), ``fps``, ``crf``, ``bits_per_second`` and
    ``max_bits_per_second`` are those of its only rendition, unless ``renditions`` are given;
    ``live`` is a low latency, ``audio`` the codec of the sound.
    """
    rendition: dict[str, Any] = {
        "name": "small",
        "size": FrameSize(width=changes.pop("width", 128), height=changes.pop("height", 96)),
        "fps": "25",
        "crf": 35,
    }
    for name in _OF_RENDITION:
        if name in changes:
            rendition[name] = changes.pop(name)
    if changes.pop("keeps_size", False):
        rendition["size"] = None
    values: dict[str, Any] = {
        "input": None,
        "codec": "h264",
        "preset": "ultrafast",
        "renditions": [rendition],
        "duration_seconds": 0.6,
    }
    if "audio" in changes:
        values["sound"] = {"codec": changes.pop("audio")}
    values["is_low_latency"] = changes.pop("live", False)
    return SPEC.validate_python(values | changes)


def plan(source: MediaFacts | None = None, **changes: Any) -> Plan:
    """The plan of a small job for this source, None is the test source."""
    return plan_of(spec(**changes), source)


def command(
    source: str | None = None,
    facts: MediaFacts | None = None,
    *,
    destination: Path,
    target: Target = CPU,
    threads: int | None = 1,
    ffmpeg: Path = FFMPEG,
    **changes: Any,
) -> tuple[str, ...]:
    """The command line of a small job; ``facts`` of a source that is not given are SOURCE."""
    known = facts if facts is not None or source is None else SOURCE
    return transcode(
        plan(known, **changes),
        ffmpeg=ffmpeg,
        source=source,
        destination=destination,
        threads=threads,
        target=target,
    )


def run(
    argv: tuple[str, ...], *, timeout_seconds: float = 60, working_directory: Path | None = None
) -> tuple[ProcessEnd, str]:
    """Run to the end; how it ended and what it said."""
    log = BoundedLog()
    process = FfmpegProcess(
        argv, timeout_seconds=timeout_seconds, working_directory=working_directory
    )
    end = process.run(lambda _: None, log)
    return end, log.text()


def make_clip(path: Path, *arguments: str) -> Path:
    """A file made by ffmpeg from the given arguments."""
    subprocess.run(
        [str(FFMPEG), "-loglevel", "error", "-nostdin", "-y", *arguments, str(path)],
        check=True,
        env={},
    )
    return path
