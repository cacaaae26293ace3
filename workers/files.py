"""Files that survive a power cut."""

import hashlib
import logging
import os
from collections.abc import Callable
from pathlib import Path

HASH_CHUNK_BYTES = 4 << 20
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
    """Remove a file that may be gone already; one that cannot be removed is only logged."""
    if path is None:
        return
    try:
        path.unlink(missing_ok=True)
    except OSError:
        log.exception("cannot remove %s", path)


def hash_durably(path: Path, on_chunk: Callable[[int], None]) -> tuple[str, int]:
    """SHA-256 and size of a file, fsync'ed first; ``on_chunk`` hears the bytes read so far."""
    digest, size = hashlib.sha256(), 0
    with path.open("rb") as file:
        os.fsync(file.fileno())
        while chunk := file.read(HASH_CHUNK_BYTES):
            digest.update(chunk)
            size += len(chunk)
            on_chunk(size)
    return digest.hexdigest(), size


def sha256_of(path: Path) -> str:
    """The hash of a whole file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
