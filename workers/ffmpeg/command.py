"""From a plan and an encoder's target to the argument list that makes its files, purely."""

from pathlib import Path

from workers.errors import UnsupportedSpec
from workers.ffmpeg.arguments import (
    encoded,
    file_format,
    nowhere,
    opening,
    read,
    test_source,
    timing,
)
from workers.ffmpeg.folders import folder
from workers.ffmpeg.passes import FIRST, Pass
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.target import CPU, Target


def transcode(
    plan: Plan,
    *,
    ffmpeg: Path,
    source: str | None,
    destination: Path,
    threads: int | None,
    target: Target = CPU,
    turn: Pass | None = None,
) -> tuple[str, ...]:
    """The argv that makes ``destination`` what the plan says, or of the first pass nothing.

    ``source`` is an absolute path or an http(s) URL, None for the synthetic test source.
    ``destination`` is the attempt's own temporary file, which is overwritten, or where the plan
    makes a folder that folder: ffmpeg runs within it. ``target`` encodes, in one pass unless a
    ``turn`` says which. Raises UnsupportedSpec for relative paths, and where the target's hardware
    has no encoder for the codec.
    """
    if not destination.is_absolute():
        raise UnsupportedSpec(f"{destination} is not absolute")
    given = test_source(plan, plan.largest) if source is None else read(source)
    start = (*opening(plan, ffmpeg, target, threads, turn), *given)
    if plan.makes_folder:
        return (*start, *folder(plan, target=target, threads=threads, turn=turn))
    (picture,) = plan.pictures
    return (
        *start,
        *encoded(plan, picture, target=target, threads=threads, turn=turn),
        *timing(plan, picture),
        *(
            nowhere()
            if turn is not None and turn.number == FIRST
            else (*file_format(plan.container), f"file:{destination}")
        ),
    )
