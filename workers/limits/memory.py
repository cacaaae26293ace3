"""The memory of a process and all that it started, looked at where no cgroup counts it."""

import contextlib
import re
from pathlib import Path
from typing import Final

import psutil

MIB: Final = 1 << 20
SPARE_BYTES: Final = 256 * MIB
_OWN: Final = re.compile(r"^(?:RssAnon|RssShmem):\s+(\d+) kB$", re.MULTILINE)


def backstop_bytes(limit_bytes: int) -> int:
    """What the process may map before the kernel refuses: for what grows between two looks.

    Encoders map more than they use, x265 and SVT-AV1 twice as much: a limit at the very number
    would end those that keep it. Measured with 1080p: x265 hangs where it is refused memory.
    """
    return 2 * limit_bytes + SPARE_BYTES


class MemoryWatch:
    """Says when a process and what it started have used more than the limit, once they have."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes
        self.is_exceeded = False

    def look(self, pid: int) -> bool:
        """Whether it is exceeded, now or before."""
        self.is_exceeded = self.is_exceeded or resident_bytes(pid) > self._limit_bytes
        return self.is_exceeded


def resident_bytes(pid: int) -> int:
    """What a process and its descendants hold of their own: no pages of files; 0 once ended."""
    try:
        process = psutil.Process(pid)
        pids = [pid, *(child.pid for child in process.children(recursive=True))]
    except psutil.Error:
        return 0
    return sum(map(_own_bytes, pids))


def _own_bytes(pid: int) -> int:
    with contextlib.suppress(OSError):
        status = Path(f"/proc/{pid}/status").read_text()
        return sum(int(found) << 10 for found in _OWN.findall(status))
    return 0
