"""As which user media are read and written, where the agent is root."""

import os
import pwd
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from workers.errors import AgentError

USUAL: Final = "nobody"
NOBODY: Final = 65534
ROOT: Final = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaUser:
    """An account without privileges; ``groups`` are all but its first."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...] = ()


def media_user(named: str | None, *, devices: Iterable[Path] = ()) -> MediaUser | None:
    """The account of that name or number, None where the agent has no rights to give up.

    It is in the groups that ``devices`` are open to as well. AgentError where there is no such
    account, or where it is root.
    """
    if os.getuid() != ROOT:
        return None
    account = _account(named) if named is not None else _usual()
    if ROOT in (account.uid, account.gid):
        raise AgentError(f"media_user is {named}: give an account that has no rights of root")
    groups = {*account.groups, *_groups_of(devices)}
    return replace(account, groups=tuple(sorted(groups - {ROOT, account.gid})))


def _usual() -> MediaUser:
    try:
        return _account(USUAL)
    except AgentError:  # a container may have no accounts at all
        return _account(str(NOBODY))


def _account(named: str) -> MediaUser:
    """AgentError where there is none of that name; a number needs none."""
    try:
        entry = pwd.getpwuid(int(named)) if named.isdecimal() else pwd.getpwnam(named)
    except KeyError:
        if named.isdecimal():
            return MediaUser(name=named, uid=int(named), gid=int(named))
        raise AgentError(
            f"media_user: this host has no account {named}; name one as which ffmpeg shall run"
        ) from None
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return MediaUser(name=entry.pw_name, uid=entry.pw_uid, gid=entry.pw_gid, groups=groups)


def _groups_of(devices: Iterable[Path]) -> set[int]:
    """Those that may open what not everybody may."""
    found = set()
    for device in devices:
        with suppress(OSError):
            status = device.stat()
            if status.st_mode & 0o060 and not status.st_mode & 0o006:
                found.add(status.st_gid)
    return found
