"""The command that decodes a finished file to its last frame, and what its end says; purely."""

from pathlib import Path

from workers.ffmpeg.failures import classify
from workers.ffmpeg.inputs import Access


def decode(output: Access, *, ffmpeg: Path, threads: int | None) -> tuple[str, ...]:
    """The argv that reads every frame of picture and sound, and fails at the first damaged one."""
    share = () if threads is None else ("-threads", str(threads))
    return (
        *(str(ffmpeg), "-hide_banner", "-nostdin", "-loglevel", "level+warning"),
        *("-nostats", "-progress", "pipe:1", "-xerror", *share),
        *("-err_detect", "explode", *output.arguments()),
        *("-map", "0:v", "-map", "0:a?", "-fps_mode", "passthrough", "-f", "null", "-"),
    )


def undecoded(
    exit_code: int | None, stderr: str, *, frames: int | None, expected: int | None
) -> str | None:
    """What is wrong with a file whose decoding ended so, in words; None where nothing is.

    ``expected`` is the number of its frames as counted without decoding them.
    """
    if exit_code != 0:
        said = classify(exit_code=exit_code, signal=None, stderr=stderr)
        return f"the output does not decode: {said.message}"
    return None if frames == expected else f"{frames} of {expected} frames decode"
