"""What a finished output is known by: its SHA-256 and size, of one file or of a whole folder.

The hash of a folder is that of its manifest: a line as ``sha256sum`` writes it for every file
below the folder, in the order of the bytes of their paths. Folders without files leave no trace.
"""

import errno
import hashlib
import os
import stat
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Final

from workers.files import sync_folder

HASH_CHUNK_BYTES: Final = 4 << 20
OnChunk = Callable[[int], None]
"""Hears how many bytes have been read so far."""


class OddFolder(OSError):  # noqa: N818
    """Something in a folder is neither a file nor a folder: no output is like that."""

    def __init__(self, path: Path) -> None:
        super().__init__(errno.EINVAL, "is neither a file nor a folder", str(path))


def hash_durably(path: Path, on_chunk: OnChunk) -> tuple[str, int]:
    """SHA-256 and size of a file or folder, all of it fsync'ed first."""
    return _digest(path, on_chunk, is_durable=True)


def sha256_of(path: Path) -> str:
    """The hash of a whole file or folder."""
    return _digest(path, lambda _read: None, is_durable=False)[0]


def size_of(path: Path) -> int:
    """The bytes of a file, or of all files of a folder."""
    if not path.is_dir():
        return path.stat().st_size
    return sum((path / name).stat().st_size for name in files_in(path))


def known_hash(path: Path, hashes: Collection[str]) -> str | None:
    """Which of these hashes a file or folder has; nothing is read where there are none."""
    try:
        found = sha256_of(path) if hashes else None
    except OddFolder:
        return None
    return found if found in hashes else None


def files_in(folder: Path) -> list[str]:
    """The relative paths of all files below a folder, sorted; OddFolder where there is more."""
    return sorted(_names(folder, ""), key=os.fsencode)


def _names(folder: Path, prefix: str) -> Iterator[str]:
    with os.scandir(folder) as entries:
        for entry in entries:
            name = prefix + entry.name
            if entry.is_dir(follow_symlinks=False):
                yield from _names(folder / entry.name, f"{name}/")
            elif entry.is_file(follow_symlinks=False):
                yield name
            else:
                raise OddFolder(folder / entry.name)


def _digest(path: Path, on_chunk: OnChunk, *, is_durable: bool) -> tuple[str, int]:
    if not stat.S_ISDIR(path.lstat().st_mode):
        return _file(path, on_chunk, is_durable=is_durable)
    manifest, size = hashlib.sha256(), 0
    for name in files_in(path):
        found, size = _file(path / name, on_chunk, before=size, is_durable=is_durable)
        manifest.update(_line(found, name))
    if is_durable:
        _sync_folders(path)
    return manifest.hexdigest(), size


def _file(path: Path, on_chunk: OnChunk, *, before: int = 0, is_durable: bool) -> tuple[str, int]:
    """The hash, and the bytes so far with the ``before`` that were read of others."""
    digest, size = hashlib.sha256(), before
    with path.open("rb") as file:
        if is_durable:
            os.fsync(file.fileno())
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            on_chunk(size)
    return digest.hexdigest(), size


def _line(found: str, name: str) -> bytes:
    escaped = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
    mark = "\\" if escaped != name else ""
    return mark.encode() + os.fsencode(f"{found}  {escaped}\n")


def _sync_folders(folder: Path) -> None:
    for inner, _, _ in os.walk(folder):
        sync_folder(Path(inner))
