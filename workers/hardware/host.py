"""What a host is and how busy it is, as registration and heartbeats say it."""

import os
import platform
import re
from pathlib import Path
from typing import Any

import psutil

from workers.ffmpeg.binary import version

NAME_LENGTH = 255


def describe(ffmpeg: Path, work_directory: Path) -> dict[str, Any]:
    """What does not change while the agent runs; JSON-able. FfmpegMissing if ffmpeg cannot run."""
    return {
        "system": platform.system(),
        "release": platform.release(),
        "machine": platform.machine(),
        "cores": usable_cores(),
        "memory_bytes": psutil.virtual_memory().total,
        "disk_bytes": psutil.disk_usage(str(work_directory)).total,
        "ffmpeg_path": str(ffmpeg),
        "ffmpeg_version": version(ffmpeg),
    }


def load() -> dict[str, Any]:
    """How busy the host is now; JSON-able and cheap enough for every heartbeat."""
    memory = psutil.virtual_memory()
    one, five, _ = os.getloadavg()
    return {
        "cpu_percent": psutil.cpu_percent(interval=None),
        "load_1m": round(one, 2),
        "load_5m": round(five, 2),
        "memory_available_bytes": memory.available,
        "memory_percent": memory.percent,
    }


def cpu_name() -> str:
    """What the CPU calls itself, else its architecture."""
    try:
        told = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        told = None
    return told[1].strip()[:NAME_LENGTH] if told else platform.machine()


def usable_cores() -> int:
    """Cores this process may use: fewer than the machine's under taskset or a cpuset."""
    return len(usable())


def usable() -> list[int]:
    """The numbers of these cores."""
    return sorted(os.sched_getaffinity(0))
