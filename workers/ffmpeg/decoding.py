"""The command that decodes a finished file to its last frame, purely."""

from pathlib import Path

from workers.ffmpeg.inputs import access


def decode(path: Path, *, ffmpeg: Path, threads: int | None) -> tuple[str, ...]:
    """The argv that reads every frame of picture and sound, and fails at the first damaged one."""
    share = () if threads is None else ("-threads", str(threads))
    return (
        *(str(ffmpeg), "-hide_banner", "-nostdin", "-loglevel", "level+warning"),
        *("-nostats", "-progress", "pipe:1", "-xerror", *share),
        *("-err_detect", "explode", *access(str(path)).arguments()),
        *("-map", "0:v", "-map", "0:a?", "-fps_mode", "passthrough", "-f", "null", "-"),
    )
