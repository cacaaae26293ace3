"""Which ffmpeg this host uses."""

import re
import shutil
import subprocess
from pathlib import Path

import imageio_ffmpeg

from workers.ffmpeg.child import MINIMAL_ENVIRONMENT, dying_with_parent


class FfmpegMissing(Exception):  # noqa: N818
    """No ffmpeg can be run; the message says where it was looked for."""


def find_ffmpeg(configured: Path | None) -> Path:
    """The configured ffmpeg, else the one on PATH, else imageio-ffmpeg's; an absolute path.

    Raises FfmpegMissing where the configured one is not there, or where there is none at all.
    """
    if configured is not None:
        found = shutil.which(configured)
        if found is None:
            raise FfmpegMissing(f"{configured} is not a program that can be run")
        return Path(found).absolute()
    on_path = shutil.which("ffmpeg")
    if on_path is not None:
        return Path(on_path).absolute()
    try:
        return Path(imageio_ffmpeg.get_ffmpeg_exe()).absolute()
    except RuntimeError as error:
        raise FfmpegMissing(f"no ffmpeg on PATH, and imageio-ffmpeg has none: {error}") from error


def version(ffmpeg: Path) -> str:
    """What ``ffmpeg -version`` calls itself, such as ``n9.0.2``; FfmpegMissing if it cannot run."""
    match = re.match(r"ffmpeg version (\S+)", _said(ffmpeg, "-version"))
    if match is None:
        raise FfmpegMissing(f"{ffmpeg} is not ffmpeg")
    return match[1]


def encoder_names(ffmpeg: Path) -> frozenset[str]:
    """The video encoders this build has, working or not; FfmpegMissing if it cannot run."""
    listed = re.findall(r"^ V[A-Z.]{5} (\w\S*)", _said(ffmpeg, "-encoders"), re.MULTILINE)
    return frozenset(listed)


def _said(ffmpeg: Path, option: str) -> str:
    try:
        end = subprocess.run(
            [str(ffmpeg), "-hide_banner", option],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=dict(MINIMAL_ENVIRONMENT),
            timeout=20,
            check=True,
            preexec_fn=dying_with_parent(),
        )
    except (OSError, subprocess.SubprocessError) as error:
        raise FfmpegMissing(f"{ffmpeg} does not run: {error}") from error
    return end.stdout.decode("utf-8", "replace")
