"""By what this host can limit an attempt: looked at once, when the agent starts."""

import contextlib
import hashlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.ffmpeg.child import Confinement, dying_with_parent
from workers.limits.group import (
    PROCESSES,
    SUBTREE,
    Group,
    Home,
    Setting,
    cpu_settings,
    memory_settings,
    pids_settings,
    processes_of,
)
from workers.limits.hierarchy import Controller, OwnGroup, Version, own_groups

LEAF: Final = "ffrtmp-agent"
"""Where the agent itself goes in version 2: a group that hands controllers on has no processes."""
DELEGATED: Final = ("user.delegate", "trusted.delegate")
"""How systemd marks a group that is left to its service (systemd.resource-control(5))."""
MOVES: Final = 3
"""Who is moved may have started somebody meanwhile."""
WITHOUT_GROUPS: Final[Mapping[Controller, str]] = {
    Controller.CPU: "affinity and nice",
    Controller.MEMORY: "rlimit and watch",
    Controller.PIDS: "rlimit",
}
PROCESSES_AT_LEAST: Final = 512
DISK: Final = "rlimit and watch"


class Unusable(Exception):  # noqa: N818
    """No groups can be made there; the text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Means:
    """Where groups are made for each controller that can be had; ``reasons`` for the others."""

    homes: Mapping[Controller, Home]
    reasons: Mapping[str, str]

    def named(self) -> dict[str, str]:
        """By what each limit is kept here, as facts and results say it."""
        by = {name: self._name_of(name) for name in Controller}
        return {**{str(name): by[name] for name in Controller}, "disk": DISK}

    def _name_of(self, controller: Controller) -> str:
        home = self.homes.get(controller)
        return WITHOUT_GROUPS[controller] if home is None else str(home.version)

    def clear(self) -> int:
        """Kill and remove what this agent, or an earlier process of it, left; how many groups."""
        left = {group for home in self.homes.values() for group in home.groups()}
        return sum(group.remove() for group in left)


NO_GROUPS: Final = Means(homes={}, reasons={})


def name_for(state_folder: Path) -> str:
    """The same for every process of one agent, and for no other: agents share no state folder."""
    return f"ffrtmp-{hashlib.sha256(os.fsencode(state_folder)).hexdigest()[:16]}"


def find_means(name: str) -> Means:
    """Look at this host; groups are going to have names that begin with ``name``."""
    process = Path("/proc/self")
    try:
        own = own_groups((process / "cgroup").read_text(), (process / "mountinfo").read_text())
    except (OSError, ValueError) as error:
        return Means(homes={}, reasons=dict.fromkeys(Controller, f"cgroups are unknown: {error}"))
    return means_among(own, name)


def means_among(
    own: Iterable[OwnGroup], name: str, *, enter: Callable[[Group], None] | None = None
) -> Means:
    """The first group that works for each controller; ``enter`` proves that a process gets in."""
    homes: dict[Controller, Home] = {}
    reasons: dict[Controller, str] = {}
    for group in own:
        wanted = group.controllers - homes.keys()
        try:
            usable = _usable(group, wanted)
            home = _home(group, name, usable, enter or _enter)
        except (Unusable, OSError, subprocess.SubprocessError) as error:
            reasons |= dict.fromkeys(wanted, str(error))
            continue
        reasons |= dict.fromkeys(wanted - usable, f"{group.folder} hands it on to nobody")
        homes |= dict.fromkeys(usable, home)
    without = dict.fromkeys(Controller, "no cgroups are mounted") | reasons
    return Means(homes=homes, reasons={one: without[one] for one in Controller if one not in homes})


def _usable(own: OwnGroup, wanted: frozenset[Controller]) -> frozenset[Controller]:
    if os.getpid() not in processes_of(own.folder):
        raise Unusable(f"{own.folder} is not this process's group")
    if own.version is Version.V1:
        return wanted
    usable = wanted & _words(_base(own) / "cgroup.controllers")
    if not usable:
        raise Unusable(f"{_base(own)} has no such controllers")
    return usable


def _base(own: OwnGroup) -> Path:
    """The group to make others in."""
    return own.folder.parent if own.folder.name == LEAF else own.folder


def _home(
    own: OwnGroup, name: str, usable: frozenset[Controller], enter: Callable[[Group], None]
) -> Home:
    home = Home(own.version, _base(own), name)
    if own.version is Version.V2:
        _hand_on(home.folder, usable)
    trial = home.group("trial")
    try:
        trial.make(*_trial_settings(own.version, usable))
        enter(trial)
    finally:
        trial.remove()
    return home


def _trial_settings(version: Version, usable: frozenset[Controller]) -> tuple[Setting, ...]:
    cpu = cpu_settings(version, 100) if Controller.CPU in usable else ()
    memory = memory_settings(version, 1 << 30) if Controller.MEMORY in usable else ()
    return cpu + memory + (pids_settings(PROCESSES_AT_LEAST) if Controller.PIDS in usable else ())


def _hand_on(group: Path, controllers: frozenset[Controller]) -> None:
    """Let groups inside have these controllers; Unusable where that would move strangers."""
    if controllers <= _words(group / SUBTREE):
        return
    if processes_of(group):
        _move_to_leaf(group)
    (group / SUBTREE).write_text(" ".join(f"+{controller}" for controller in sorted(controllers)))


def _move_to_leaf(group: Path) -> None:
    if processes_of(group) != [os.getpid()] and not _is_delegated(group):
        raise Unusable(f"{group} has processes that are not this agent's, and is not delegated")
    leaf = group / LEAF
    leaf.mkdir(exist_ok=True)
    for _ in range(MOVES):
        for pid in processes_of(group):
            with contextlib.suppress(ProcessLookupError):
                (leaf / PROCESSES).write_text(str(pid))


def _is_delegated(group: Path) -> bool:
    for mark in DELEGATED:
        with contextlib.suppress(OSError):
            if os.getxattr(group, mark) == b"1":
                return True
    return False


def _words(file: Path) -> frozenset[str]:
    return frozenset(file.read_text().split())


def _enter(group: Group) -> None:
    """Start a process in it and wait for its end; OSError, SubprocessError."""
    subprocess.run(
        [sys.executable, "-I", "-S", "-c", ""],
        stdin=subprocess.DEVNULL,
        check=True,
        env={},
        preexec_fn=dying_with_parent(confinement=Confinement(groups=(group.folder,))),
    )
