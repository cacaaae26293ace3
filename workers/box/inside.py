"""Giving up all rights, by a Python that has read its own code and not yet any media."""

import ctypes
import os
import signal
from typing import Final

PR_SET_PDEATHSIG: Final = 1
PR_CAPBSET_DROP: Final = 24
PR_SET_NO_NEW_PRIVS: Final = 38
_CAPABILITIES: Final = 64
"""More than any kernel knows."""


def become(identity: str) -> None:
    """Go on as ``UID:GID:GROUP,...`` for good, or with "-" as who this is; OSError.

    Nothing that needs other rights can be had afterwards, by this process or by what it starts.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    if ":" not in identity:
        return
    uid, gid, groups = identity.split(":")
    for number in range(_CAPABILITIES):
        libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    os.setgroups([int(group) for group in groups.split(",") if group])
    os.setresgid(int(gid), int(gid), int(gid))
    os.setresuid(int(uid), int(uid), int(uid))
    libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)  # the change took it away
    if os.getresuid() != (int(uid),) * 3 or _can_go_back():
        raise PermissionError(f"the rights of the agent cannot be given up for those of {identity}")


def _can_go_back() -> bool:
    try:
        os.setuid(0)
    except PermissionError:
        return False
    return True
