"""A short clip to show the farm with, made by whatever ffmpeg this host has."""

import shutil
import subprocess
from pathlib import Path

import imageio_ffmpeg

from cli.exits import CliError

SECONDS = 5
TIMEOUT_SECONDS = 60


def make_clip(to: Path) -> None:
    """720p test pattern with a tone; CliError with ffmpeg's last line where that fails."""
    command = clip_command(find_ffmpeg(), to)
    try:
        subprocess.run(
            command,
            check=True,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=TIMEOUT_SECONDS,
        )
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines() or ["no reason given"]
        raise CliError(f"ffmpeg could not make a clip: {said[-1]}; give an INPUT") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CliError(f"ffmpeg could not make a clip: {error}; give an INPUT") from error


def find_ffmpeg() -> str:
    """PATH's ffmpeg, else the bundled one."""
    return shutil.which("ffmpeg") or str(imageio_ffmpeg.get_ffmpeg_exe())


def clip_command(ffmpeg: str, to: Path) -> list[str]:
    """The command line that makes the clip."""
    video = f"testsrc2=size=1280x720:rate=30:duration={SECONDS}"
    audio = f"sine=frequency=440:sample_rate=48000:duration={SECONDS}"
    return [
        *(ffmpeg, "-hide_banner", "-loglevel", "error", "-nostdin", "-y"),
        *("-f", "lavfi", "-i", video, "-f", "lavfi", "-i", audio),
        *("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"),
        *("-c:a", "aac", "-shortest", str(to)),
    ]
