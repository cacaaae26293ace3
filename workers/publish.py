"""The last step of a file: one atomic change of name that never replaces what others made."""

import ctypes
import errno
import os
from collections.abc import Collection
from pathlib import Path

from workers.files import sha256_of, sync_folder

AT_FDCWD = -100
RENAME_NOREPLACE = 1
NO_HARD_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class DestinationTaken(Exception):  # noqa: N818
    """The destination is a file that is not this job's, and overwrite was not asked for."""


class FileVanished(Exception):  # noqa: N818
    """Neither the temporary file nor its published name is there."""


def publish(
    temporary: Path, destination: Path, *, sha256: str, overwrite: bool, own: Collection[str]
) -> None:
    """Give the finished file its name. The same call again, after any crash, changes nothing.

    ``own`` are hashes earlier attempts of this job committed: a destination with one of them is
    replaced. With ``overwrite`` the old file is replaced as well; a file written there between
    the look and the rename would be lost, which is the documented residue of overwriting.
    """
    if not temporary.exists():
        if destination.is_file() and sha256_of(destination) == sha256:
            return
        raise FileVanished(f"{temporary} is gone and {destination} is not its file")
    if overwrite:
        temporary.replace(destination)
    elif not _move_without_replacing(temporary, destination):
        _settle_taken(temporary, destination, {sha256, *own})
    sync_folder(destination.parent)


def _settle_taken(temporary: Path, destination: Path, own: Collection[str]) -> None:
    if destination.is_symlink() or not destination.is_file():
        raise DestinationTaken(f"{destination} exists and is not a file")
    if temporary.samefile(destination):
        temporary.unlink()
    elif sha256_of(destination) in own:
        temporary.replace(destination)
    else:
        raise DestinationTaken(f"{destination} exists")


def _move_without_replacing(temporary: Path, destination: Path) -> bool:
    """True when moved, False where the name is taken."""
    try:
        os.link(temporary, destination, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        return _rename_without_replacing(temporary, destination)
    temporary.unlink()
    return True


def _rename_without_replacing(temporary: Path, destination: Path) -> bool:
    # renameat2(2): file systems without hard links (exFAT, some FUSE) have this, or nothing.
    libc = ctypes.CDLL(None, use_errno=True)
    failed = libc.renameat2(
        AT_FDCWD,
        os.fsencode(temporary),
        AT_FDCWD,
        os.fsencode(destination),
        ctypes.c_uint(RENAME_NOREPLACE),
    )
    if not failed:
        return True
    number = ctypes.get_errno()
    if number == errno.EEXIST:
        return False
    raise OSError(number, os.strerror(number), str(destination))
