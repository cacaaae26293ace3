"""Files that survive a power cut."""

import errno
import logging
import os
import shutil
import stat
from pathlib import Path
from typing import TextIO

log = logging.getLogger(__name__)


def write_durably(path: Path, text: str) -> None:
    """Replace ``path`` atomically with private (0600) text that is on disk when this returns."""
    temporary = path.with_name(f".{path.name}.new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make names created in or removed from a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def discard(path: Path | None) -> None:
    """Remove a file or folder that may be gone already; what cannot be removed is only logged."""
    if path is None:
        return
    try:
        remove(path)
    except OSError:
        log.exception("cannot remove %s", path)


def remove(path: Path) -> None:
    """Remove a file, or a folder with all that is in it; nothing where there is none."""
    try:
        path.unlink(missing_ok=True)
    except IsADirectoryError:
        # follows no link, not even one that is put in its way meanwhile
        shutil.rmtree(path)


def open_plain(path: Path) -> TextIO:
    """Text that another user wrote: a link in its place is not followed, nor a pipe waited for.

    OSError.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "is not a file", str(path))
    return os.fdopen(descriptor, encoding="utf-8")


def inode_of(path: Path) -> int:
    """Which file or folder has that name; a link is one itself."""
    return path.lstat().st_ino
