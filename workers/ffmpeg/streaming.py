"""From a plan to the argument list that publishes it as a stream, purely."""

from pathlib import Path
from typing import Final

from workers.ffmpeg.command import encoded, opening, read, test_source
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.target import CPU, Target

_NETWORK_TIMEOUT_MICROSECONDS: Final = 15_000_000


def publish(
    plan: Plan,
    *,
    ffmpeg: Path,
    source: str | None,
    rtmp_url: str,
    threads: int | None,
    target: Target = CPU,
) -> tuple[str, ...]:
    """The argv that publishes to ``rtmp_url`` at native speed; the rest as ``transcode``."""
    (picture,) = plan.pictures
    return (
        *opening(plan, ffmpeg, target, threads),
        *(test_source(plan, picture, "-re") if source is None else ("-re", *read(source))),
        *encoded(plan, picture, target=target, threads=threads),
        *("-map_chapters", "-1", "-flvflags", "no_duration_filesize"),
        *("-rw_timeout", str(_NETWORK_TIMEOUT_MICROSECONDS), "-f", "flv", rtmp_url),
    )
