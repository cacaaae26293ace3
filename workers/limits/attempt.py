"""The limits of one attempt: set before its first process, removed after its last."""

import itertools
import logging
import math
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from resource import RLIMIT_DATA, RLIMIT_FSIZE, RLIMIT_NOFILE, RLIMIT_NPROC
from signal import SIGXFSZ
from typing import Final

import psutil

from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import NO_LIMITS, Limits
from workers.errors import AttemptFailed
from workers.ffmpeg.child import UNCONFINED, Confinement
from workers.ffmpeg.process import ProcessEnd
from workers.limits.disk import MIB, DiskWatch, no_room, wrote_too_much
from workers.limits.group import Group, Home, Setting, cpu_settings, memory_settings, pids_settings
from workers.limits.hierarchy import Controller
from workers.limits.means import PROCESSES_AT_LEAST, Means
from workers.limits.memory import MemoryWatch, backstop_bytes

NICENESS: Final = 10
OPEN_FILES: Final = 1024
PROCESSES_OF_CORE: Final = 64
"""Processes and threads together. Several encoders at once have some per core each."""
_NO_MEMORY: Final = re.compile(
    r"Cannot allocate memory|malloc of size \d+ failed|bad_alloc|[Oo]ut of memory"
    r"|[Ff]ailed to allocate|not enough memory"
)
_TOO_LARGE: Final = re.compile(r"File too large")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Enforced:
    """What holds the processes of one attempt.

    Their memory is counted by the group ``memory``, or else by ``memory_watch``.
    """

    asked: Limits = NO_LIMITS
    confinement: Confinement = UNCONFINED
    memory: Group | None = None
    memory_watch: MemoryWatch | None = None
    disk: DiskWatch | None = None

    def threads(self, share: int) -> int:
        """How many an encoder may have of its slot's share: more cores than that it never gets."""
        percent = self.asked.max_cpu_percent
        return share if percent is None else min(share, _cores_of(percent))

    def require_room(self, expected_bytes: int | None) -> None:
        """AttemptFailed where the output's disk has no room for that; None is not known."""
        if self.disk is not None and expected_bytes is not None:
            failure = no_room(expected_bytes, self.disk.free_bytes())
            if failure is not None:
                raise failure

    def is_passed(self, pid: int) -> bool:
        """Whether a limit that the kernel does not keep is passed by this process; a look."""
        if self.memory_watch is not None and self.memory_watch.look(pid):
            return True
        return self.disk is not None and self.disk.look() is not None

    def breach(self, end: ProcessEnd, said: str) -> AttemptFailed | None:
        """Which limit a process that ended so ran into; None where it was none."""
        failed = end.exit_code != 0
        if failed and (self.is_out_of_memory or self._could_not_allocate(said)):
            return self.needed_too_much(end.exit_code)
        asked = self.asked.max_disk_mb
        if asked is not None and failed and (end.signal == SIGXFSZ or _TOO_LARGE.search(said)):
            return wrote_too_much(asked)
        return None if self.disk is None else self.disk.look()

    @property
    def is_out_of_memory(self) -> bool:
        """Whether something of the attempt was ended for the memory it used."""
        if self.memory_watch is not None:
            return self.memory_watch.is_exceeded
        try:
            return self.memory is not None and self.memory.oom_kills() > 0
        except OSError as error:
            log.warning("what a cgroup did is unknown: %s", error)
            return False

    def needed_too_much(self, exit_code: int | None = None) -> AttemptFailed:
        """The failure of an attempt that ran out of memory."""
        return AttemptFailed(
            FailureClass.LIMIT_EXCEEDED,
            f"needed more than the {self.asked.max_memory_mb} MB of memory it may have"
            " (max_memory_mb)",
            exit_code=exit_code,
        )

    def _could_not_allocate(self, said: str) -> bool:
        return self.memory_watch is not None and _NO_MEMORY.search(said) is not None


UNLIMITED: Final = Enforced()


class Limiter:
    """Puts limits around attempts, by what this host has."""

    def __init__(self, means: Means, *, cores: Sequence[int], uid: int | None = None) -> None:
        """``uid`` is the user's as whom media are read, None where that is who this is."""
        self._means = means
        self._uid = os.getuid() if uid is None else uid
        self._processes = max(PROCESSES_AT_LEAST, PROCESSES_OF_CORE * len(cores))
        self._cores = tuple(cores)
        self._turns = itertools.count()

    def said(self, asked: Limits) -> dict[str, str]:
        """By what each limit asked for is kept."""
        given = {
            "cpu": asked.max_cpu_percent,
            "memory": asked.max_memory_mb,
            "disk": asked.max_disk_mb,
        }
        by = self._means.named()
        return {name: by[name] for name, value in given.items() if value is not None}

    @contextmanager
    def around(
        self, name: str, asked: Limits, *, output: Path | None, scratch: Path
    ) -> Iterator[Enforced]:
        """The limits of the attempt ``name``, as long as the block lasts; AttemptFailed.

        It writes ``output``, if that, and into ``scratch``. Whatever it left running is killed.
        """
        homes = self._means.homes
        settings = _settings(asked, homes, self._processes)
        groups = {controller: homes[controller].group(name) for controller in settings}
        try:
            _make(groups, settings)
            memory, max_mb = groups.get(Controller.MEMORY), asked.max_memory_mb
            is_counted = memory is not None or max_mb is None
            yield Enforced(
                asked=asked,
                confinement=self._confinement(asked, groups),
                memory=memory,
                memory_watch=None if is_counted else MemoryWatch((max_mb or 0) * MIB),
                disk=DiskWatch(output=output, scratch=scratch, max_disk_mb=asked.max_disk_mb),
            )
        finally:
            for group in set(groups.values()):
                group.remove()

    def _confinement(self, asked: Limits, groups: Mapping[Controller, Group]) -> Confinement:
        rlimits: dict[int, int] = {RLIMIT_NOFILE: OPEN_FILES}
        if Controller.PIDS not in groups:
            rlimits[RLIMIT_NPROC] = _threads_of(self._uid) + self._processes
        if asked.max_disk_mb is not None:
            rlimits[RLIMIT_FSIZE] = asked.max_disk_mb * MIB
        if asked.max_memory_mb is not None and Controller.MEMORY not in groups:
            rlimits[RLIMIT_DATA] = backstop_bytes(asked.max_memory_mb * MIB)
        by_cores = asked.max_cpu_percent is not None and Controller.CPU not in groups
        return Confinement(
            groups=tuple({group.folder for group in groups.values()}),
            rlimits=tuple(rlimits.items()),
            cores=self._next_cores(asked.max_cpu_percent or 0) if by_cores else None,
            niceness=NICENESS if by_cores else 0,
        )

    def _next_cores(self, percent: int) -> frozenset[int]:
        """Other cores for each attempt, as far as there are others."""
        count = min(_cores_of(percent), len(self._cores))
        first = next(self._turns) * count
        return frozenset(self._cores[(first + n) % len(self._cores)] for n in range(count))


def _make(
    groups: Mapping[Controller, Group], settings: Mapping[Controller, tuple[Setting, ...]]
) -> None:
    try:
        for controller, group in groups.items():
            group.make(*settings[controller])
    except OSError as error:
        raise AttemptFailed(FailureClass.AGENT, f"a limit cannot be set: {error}") from error


def _cores_of(percent: int) -> int:
    return math.ceil(percent / 100)


def _threads_of(uid: int) -> int:
    """How many a user has already: the kernel counts all of them."""
    found = 0
    for process in psutil.process_iter(["uids", "num_threads"]):
        uids = process.info["uids"]
        if uids is not None and uids.real == uid:
            found += process.info["num_threads"] or 0
    return found


def _settings(
    asked: Limits, homes: Mapping[Controller, Home], processes: int
) -> dict[Controller, tuple[Setting, ...]]:
    """What the attempt's groups are to be told; of CPU and memory what is asked."""
    found: dict[Controller, tuple[Setting, ...]] = {}
    cpu, memory = homes.get(Controller.CPU), homes.get(Controller.MEMORY)
    if Controller.PIDS in homes:
        found[Controller.PIDS] = pids_settings(processes)
    if cpu is not None and asked.max_cpu_percent is not None:
        found[Controller.CPU] = cpu_settings(cpu.version, asked.max_cpu_percent)
    if memory is not None and asked.max_memory_mb is not None:
        found[Controller.MEMORY] = memory_settings(memory.version, asked.max_memory_mb * MIB)
    return found
