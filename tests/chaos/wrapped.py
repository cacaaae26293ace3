"""An ffmpeg that misbehaves on the jobs a test chooses, and is the real one for the rest."""

from pathlib import Path

from workers.ffmpeg.binary import find_ffmpeg

REAL = find_ffmpeg(None)


def wrapped_ffmpeg(path: Path, script: str, *, only: str = ".part") -> Path:
    """A program at ``path`` that runs the shell ``script`` before the real ffmpeg takes over,
    where its arguments contain ``only``: every encode of a job, unless told otherwise.

    The script sees ``$REAL``, and ffmpeg's arguments as ``"$@"``.
    """
    path.write_text(
        f'#!/bin/sh\nREAL={REAL}\ncase "$*" in *\'{only}\'*)\n{script}\n;; esac\nexec $REAL "$@"\n'
    )
    path.chmod(0o755)
    return path
