"""renameat2(2), which Python does not have: names that change without anything being replaced."""

import ctypes
import errno
import os
from pathlib import Path
from typing import Final

AT_FDCWD: Final = -100
RENAME_NOREPLACE: Final = 1
RENAME_EXCHANGE: Final = 2


def rename_without_replacing(old: Path, new: Path) -> bool:
    """True when renamed, False where the new name is taken; OSError otherwise.

    File systems without hard links (exFAT, some FUSE) have this, or nothing.
    """
    number = _renameat2(old, new, RENAME_NOREPLACE)
    if number == errno.EINVAL and old.is_dir():
        return _take_name(old, new)
    if number not in (0, errno.EEXIST):
        raise OSError(number, os.strerror(number), str(new))
    return number == 0


def exchange(one: Path, other: Path) -> None:
    """Let two files or folders change names in one step; OSError where that cannot be done."""
    number = _renameat2(one, other, RENAME_EXCHANGE)
    if number:
        raise OSError(number, os.strerror(number), str(other))


def _take_name(old: Path, new: Path) -> bool:
    """The same for folders where the file system has no flags (NFS): a folder never replaces
    one that has something in it, so an empty one may keep its place."""
    try:
        new.mkdir()
        old.rename(new)
    except OSError as error:
        if error.errno in (errno.EEXIST, errno.ENOTEMPTY):
            return False
        raise
    return True


def _renameat2(one: Path, other: Path, flags: int) -> int:
    """The error number, 0 where it was done."""
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.renameat2(
        AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), ctypes.c_uint(flags)
    )
    return ctypes.get_errno() if failed else 0
