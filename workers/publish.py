"""The last step of an output: one atomic change of name that never replaces what others made."""

import errno
import os
from collections.abc import Collection
from pathlib import Path
from typing import Final

from workers.digests import known_hash
from workers.files import inode_of, remove, sync_folder
from workers.renames import exchange, rename_without_replacing

NO_HARD_LINKS: Final = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV)


class DestinationTaken(Exception):  # noqa: N818
    """The destination is taken by what is not this job's, and overwrite was not asked for."""


class FileVanished(Exception):  # noqa: N818
    """What was verified is neither under its temporary name nor published."""


def publish(
    temporary: Path,
    destination: Path,
    *,
    sha256: str,
    overwrite: bool,
    own: Collection[str],
    inode: int | None = None,
) -> None:
    """Give the finished file or folder its name. The same call again, after any crash, changes
    nothing.

    ``inode`` is the temporary one's own: nothing else that has its name by now is published.
    ``own`` are hashes earlier attempts of this job committed: a destination with one of them is
    replaced. With ``overwrite`` the old file or folder is replaced as well; what is written there
    between the look and the rename would be lost, which is the documented residue of
    overwriting. A file never replaces a folder, nor a folder a file.
    """
    if not _is_there(temporary, inode):
        if destination.exists() and known_hash(destination, {sha256}):
            return
        raise FileVanished(f"{temporary} is gone or replaced, and {destination} is not what it was")
    if temporary.is_dir():
        _publish_folder(temporary, destination, sha256=sha256, overwrite=overwrite, own=own)
    else:
        _publish_file(temporary, destination, sha256=sha256, overwrite=overwrite, own=own)
    sync_folder(destination.parent)


def _is_there(temporary: Path, inode: int | None) -> bool:
    try:
        return inode in (None, inode_of(temporary))
    except FileNotFoundError:
        return False


def _publish_file(
    temporary: Path, destination: Path, *, sha256: str, overwrite: bool, own: Collection[str]
) -> None:
    if overwrite:
        temporary.replace(destination)
    elif not _move_file(temporary, destination):
        if destination.is_symlink() or not destination.is_file():
            raise DestinationTaken(f"{destination} exists and is not a file")
        if temporary.samefile(destination):
            temporary.unlink()
        elif known_hash(destination, {sha256, *own}):
            temporary.replace(destination)
        else:
            raise DestinationTaken(f"{destination} exists")


def _publish_folder(
    temporary: Path, destination: Path, *, sha256: str, overwrite: bool, own: Collection[str]
) -> None:
    if rename_without_replacing(temporary, destination):
        return
    if destination.is_symlink() or not destination.is_dir():
        raise DestinationTaken(f"{destination} exists and is not a folder")
    # after a crash below, what lies under the temporary name is what was replaced
    if not known_hash(destination, {sha256}):
        if not overwrite and not known_hash(destination, own):
            raise DestinationTaken(f"{destination} exists")
        exchange(temporary, destination)
        sync_folder(destination.parent)
    remove(temporary)


def _move_file(temporary: Path, destination: Path) -> bool:
    """True when moved, False where the name is taken."""
    try:
        os.link(temporary, destination, follow_symlinks=False)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in NO_HARD_LINKS:
            raise
        return rename_without_replacing(temporary, destination)
    temporary.unlink()
    return True
