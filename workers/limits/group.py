"""One cgroup: made, given its limits, asked what it did, cleared and removed."""

import contextlib
import errno
import logging
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.limits.hierarchy import Version

PROCESSES: Final = "cgroup.procs"
SUBTREE: Final = "cgroup.subtree_control"
PERIOD_MICROSECONDS: Final = 100_000
"""The kernel's own: shorter ones cost more, longer ones make the process stutter."""
EMPTY_SECONDS: Final = 5.0
POLL_SECONDS: Final = 0.01
_OPTIONAL: Final = frozenset({"memory.memsw.limit_in_bytes", "memory.swap.max", "memory.oom.group"})
"""Absent where the kernel does not count swap, or is older."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setting:
    """What is to stand in a file of a group."""

    name: str
    value: str


def cpu_settings(version: Version, percent: int) -> tuple[Setting, ...]:
    """``percent`` of one core."""
    quota = percent * PERIOD_MICROSECONDS // 100
    if version is Version.V2:
        return (Setting("cpu.max", f"{quota} {PERIOD_MICROSECONDS}"),)
    return (
        Setting("cpu.cfs_period_us", str(PERIOD_MICROSECONDS)),
        Setting("cpu.cfs_quota_us", str(quota)),
    )


def memory_settings(version: Version, limit_bytes: int) -> tuple[Setting, ...]:
    """So much and no swap; beyond it the whole group is killed (version 1: the largest of it)."""
    if version is Version.V2:
        return (
            Setting("memory.max", str(limit_bytes)),
            Setting("memory.swap.max", "0"),
            Setting("memory.oom.group", "1"),
        )
    return (
        Setting("memory.limit_in_bytes", str(limit_bytes)),
        Setting("memory.memsw.limit_in_bytes", str(limit_bytes)),
    )


def pids_settings(processes: int) -> tuple[Setting, ...]:
    """So many processes and threads; the same in both versions."""
    return (Setting("pids.max", str(processes)),)


@dataclass(frozen=True, slots=True)
class Group:
    """A cgroup by its folder."""

    version: Version
    folder: Path

    def make(self, *settings: Setting) -> None:
        """Create it, or take it as it is, and give it these limits; OSError."""
        self.folder.mkdir(exist_ok=True)
        for setting in settings:
            self._set(setting)

    def _set(self, setting: Setting) -> None:
        path = self.folder / setting.name
        if setting.name in _OPTIONAL and not path.exists():
            return
        try:
            path.write_text(setting.value)
        except OSError as error:
            # Version 1 takes no quota above that of the group around it, which holds anyway.
            if setting.name == "cpu.cfs_quota_us" and error.errno == errno.EINVAL:
                log.info("%s: the limit of the group around it is lower", self.folder)
                return
            raise

    def oom_kills(self) -> int:
        """How many of its processes were killed because its memory was used up."""
        name = "memory.events" if self.version is Version.V2 else "memory.oom_control"
        for line in (self.folder / name).read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == "oom_kill":
                return int(value)
        return 0

    def remove(self) -> bool:
        """Kill what is in it and remove it; False where something does not die in time."""
        give_up_at = time.monotonic() + EMPTY_SECONDS
        while True:
            try:
                self._kill()
                self.folder.rmdir()
            except FileNotFoundError:
                return True
            except OSError as error:
                if error.errno != errno.EBUSY or time.monotonic() > give_up_at:
                    log.warning("the cgroup of an attempt stays: %s", error)
                    return False
                time.sleep(POLL_SECONDS)
            else:
                return True

    def _kill(self) -> None:
        with contextlib.ExitStack() as opened:
            for pid, descriptor in [*self._opened(opened)]:
                if pid in processes_of(self.folder):
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(descriptor, signal.SIGKILL)

    def _opened(self, opened: contextlib.ExitStack) -> Iterator[tuple[int, int]]:
        """Held before it is looked whether they are still in the group: a process id is given
        out again."""
        for pid in processes_of(self.folder):
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(pid)
                opened.callback(os.close, descriptor)
                yield pid, descriptor


@dataclass(frozen=True, slots=True)
class Home:
    """Where one agent makes groups: in ``folder``, under names of its own beside others'."""

    version: Version
    folder: Path
    prefix: str

    def group(self, name: str) -> Group:
        """The group of this name, which need not be there."""
        return Group(self.version, self.folder / f"{self.prefix}-{name}")

    def groups(self) -> list[Group]:
        """Those that are there."""
        return [Group(self.version, path) for path in self.folder.glob(f"{self.prefix}-*")]


def processes_of(folder: Path) -> list[int]:
    """Who is in a group, as far as this process can see them."""
    return [int(pid) for pid in (folder / PROCESSES).read_text().split() if pid != "0"]
