"""Where this process's own cgroups are mounted, read from what the kernel says; purely.

Formats: cgroups(7), proc_pid_mountinfo(5).
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path, PurePosixPath


class Controller(StrEnum):
    """What a cgroup can limit, of that what attempts are limited in."""

    CPU = "cpu"
    MEMORY = "memory"
    PIDS = "pids"


class Version(StrEnum):
    """Which of the kernel's two interfaces; the value is what results call it."""

    V1 = "cgroup v1"
    V2 = "cgroup v2"


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnGroup:
    """A group that this process is in, and what its hierarchy limits.

    Which controllers a version 2 group really has only its own files say.
    """

    version: Version
    controllers: frozenset[Controller]
    folder: Path


def own_groups(cgroup: str, mountinfo: str) -> tuple[OwnGroup, ...]:
    """The groups of a process by its /proc/PID/cgroup and /proc/PID/mountinfo, version 2 first."""
    paths = dict(_paths(cgroup))
    found = [
        OwnGroup(version=mount.version, controllers=mount.controllers, folder=folder)
        for mount in _mounts(mountinfo)
        if (folder := mount.folder_of(paths.get(mount.key))) is not None
    ]
    return tuple(sorted(found, key=lambda group: group.version, reverse=True))


@dataclass(frozen=True, slots=True, kw_only=True)
class _Mount:
    version: Version
    key: str
    """What /proc/PID/cgroup calls the hierarchy by: one of its controllers, '' for version 2."""
    controllers: frozenset[Controller]
    root: PurePosixPath
    at: Path

    def folder_of(self, path: str | None) -> Path | None:
        """Where the group is seen; None where this mount does not show it."""
        if path is None or ".." in PurePosixPath(path).parts:
            return None
        if PurePosixPath(path).is_relative_to(self.root):
            return self.at / PurePosixPath(path).relative_to(self.root)
        # A container that sees the names of its host: its own group is the root of the mount.
        return self.at


def _paths(cgroup: str) -> Iterator[tuple[str, str]]:
    for line in cgroup.splitlines():
        _, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            yield name, path


def _mounts(mountinfo: str) -> Iterator[_Mount]:
    for line in mountinfo.splitlines():
        before, _, after = line.partition(" - ")
        kind, _source, options = after.split(" ", 2)
        root, at = (_unescaped(field) for field in before.split(" ")[3:5])
        if kind == "cgroup2":
            yield _Mount(
                version=Version.V2,
                key="",
                controllers=frozenset(Controller),
                root=PurePosixPath(root),
                at=Path(at),
            )
        limited = frozenset(Controller(name) for name in options.split(",") if name in _NAMES)
        if kind == "cgroup" and limited:
            yield _Mount(
                version=Version.V1,
                key=min(limited),
                controllers=limited,
                root=PurePosixPath(root),
                at=Path(at),
            )


_NAMES = frozenset(Controller)


def _unescaped(field: str) -> str:
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), field)
