"""Which process was started, beyond doubt; and ending one whose agent is gone."""

import os
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """Which process, beyond doubt: a process id alone is given out again."""

    pid: int
    start_identity: str
    """Boot id and start time in ticks since boot, as /proc tells them."""


def start_identity(pid: int) -> str | None:
    """Boot and start time of a live process; None if there is none."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # field 22; the second field, the name, may hold spaces and brackets
    fields = status.rpartition(")")[2].split()
    return None if fields[0] in "ZX" else f"{boot}:{fields[19]}"


def kill_leftover(pid: int, identity: str) -> bool:
    """Kill the group of a dead agent's ffmpeg, only if that very process still runs.

    True if it was killed. ``pid`` and ``identity`` are a ProcessIdentity's values.
    """
    if pid <= 1 or not identity or start_identity(pid) != identity:
        return False
    try:
        if os.getpgid(pid) != pid:
            return False
        os.killpg(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
