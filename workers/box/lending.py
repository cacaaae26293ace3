"""Places of an attempt that belong to the box's user while its processes write there."""

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ffrtmp.domain.retry import FailureClass
from workers.box.user import MediaUser
from workers.box.view import Places
from workers.digests import OddFolder
from workers.errors import AttemptFailed

_LOOK: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NO_OWNERS: Final = (errno.EPERM, errno.EINVAL, errno.ENOTSUP, errno.EACCES)
"""What file systems say that have no owners, or servers that give root no rights."""
_FILE_BITS: Final = 0o666


@dataclass(frozen=True, slots=True, kw_only=True)
class Owner:
    """Whose something is, and who else may do what with it."""

    uid: int
    gid: int
    mode: int

    def of_file(self) -> "Owner":
        """The same for a file in such a folder."""
        return Owner(uid=self.uid, gid=self.gid, mode=self.mode & _FILE_BITS)


@contextmanager
def lent(places: Places, user: MediaUser | None) -> Iterator[None]:
    """What an attempt writes is the user's within the block.

    Afterwards, unless the block failed, its output is the agent's again with all that is in it,
    with the modes it had; what is in the scratch folder nobody keeps. OddFolder where something of
    the output is neither file nor folder, or has another name elsewhere; AttemptFailed where
    anything cannot be given away.
    """
    owners = {} if user is None else {path: _given(path, user) for path in places.written}
    yield
    owner = None if places.output is None else owners.get(places.output)
    if places.output is not None and owner is not None:
        with suppress(FileNotFoundError):
            _take_back(places.output, owner)


def _given(path: Path, user: MediaUser) -> Owner:
    found = path.stat()
    try:
        os.chown(path, user.uid, user.gid, follow_symlinks=False)
    except OSError as error:
        if error.errno not in _NO_OWNERS or not found.st_mode & stat.S_IWOTH:
            raise AttemptFailed(
                FailureClass.OUTPUT_REFUSED,
                f"{path} cannot be given to the user {user.name}, as which ffmpeg runs here"
                f" (media_user): {error.strerror}",
            ) from error
    return Owner(uid=found.st_uid, gid=found.st_gid, mode=stat.S_IMODE(found.st_mode))


def _take_back(path: Path, owner: Owner) -> None:
    at = os.open(path, _LOOK)
    try:
        if stat.S_ISDIR(os.fstat(at).st_mode):
            _take_back_folder(path, at, owner)
        else:
            _take_back_file(path, at, owner)
    finally:
        os.close(at)


def _take_back_folder(path: Path, at: int, owner: Owner) -> None:
    """The folder first: then nobody puts anything there meanwhile."""
    _own(at, owner)
    with os.scandir(at) as entries:
        for entry in entries:
            _take_back_entry(path / entry.name, at, owner)


def _take_back_entry(path: Path, folder: int, owner: Owner) -> None:
    try:
        at = os.open(path.name, _LOOK, dir_fd=folder)
    except OSError as error:
        raise OddFolder(path) from error
    try:
        if stat.S_ISDIR(os.fstat(at).st_mode):
            _take_back_folder(path, at, owner)
        else:
            _take_back_file(path, at, owner.of_file())
    finally:
        os.close(at)


def _take_back_file(path: Path, at: int, owner: Owner) -> None:
    found = os.fstat(at)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        raise OddFolder(path)
    _own(at, owner)


def _own(at: int, owner: Owner) -> None:
    try:
        os.fchown(at, owner.uid, owner.gid)
        os.fchmod(at, owner.mode)
    except OSError as error:
        if error.errno not in _NO_OWNERS:
            raise
