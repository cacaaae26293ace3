"""Finding every process of one farm, by its marker and not by its name."""

import contextlib
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import psutil

MARKER = "FFRTMP_TEST_FARM"
GONE_SECONDS = 6.0
POLL_SECONDS = 0.05


class Family:
    """The processes that inherited one value of MARKER, and all their descendants ever seen.

    A child with a cleaned environment (ffmpeg, valkey) is known as a descendant from the first
    ``running()`` that saw it, also after its parent has died.
    """

    def __init__(self) -> None:
        self._marker = secrets.token_hex(8)
        self._seen: dict[int, psutil.Process] = {}

    @property
    def environment(self) -> dict[str, str]:
        """What the first process must have in its environment."""
        return {MARKER: self._marker}

    def running(self) -> list[psutil.Process]:
        """Every member that runs now."""
        for process in _marked(self._marker):
            self._remember(process)
        for process in [known for known in self._seen.values() if _runs(known)]:
            with contextlib.suppress(psutil.Error):
                for child in process.children(recursive=True):
                    self._remember(child)
        return [process for process in self._seen.values() if _runs(process)]

    def named(self, prefix: str) -> list[psutil.Process]:
        """The running members whose program's name begins so."""
        return [process for process in self.running() if _name(process).startswith(prefix)]

    def assert_gone(self, *, seconds: float = GONE_SECONDS) -> None:
        """AssertionError naming whoever still runs after ``seconds``."""
        give_up_at = time.monotonic() + seconds
        while left := self.running():
            if time.monotonic() > give_up_at:
                said = "\n".join(f"{process.pid} {_command_line(process)}" for process in left)
                raise AssertionError(f"left running:\n{said}")
            time.sleep(POLL_SECONDS)

    def kill(self) -> None:
        """SIGKILL whoever still runs."""
        for process in self.running():
            with contextlib.suppress(psutil.Error):
                process.kill()

    def _remember(self, process: psutil.Process) -> None:
        known = self._seen.get(process.pid)
        if known is None or known != process:
            self._seen[process.pid] = process


def _marked(marker: str) -> Iterator[psutil.Process]:
    wanted = f"{MARKER}={marker}".encode()
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError, psutil.Error):
            if wanted in (entry / "environ").read_bytes().split(b"\0"):
                yield psutil.Process(int(entry.name))


def _runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _name(process: psutil.Process) -> str:
    try:
        return str(process.name())
    except psutil.Error:
        return ""


def _command_line(process: psutil.Process) -> str:
    try:
        return " ".join(process.cmdline())
    except psutil.Error:
        return "?"
