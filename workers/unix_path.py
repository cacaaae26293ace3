"""Unix sockets in folders of any depth."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """A name to bind or connect to while inside: sockaddr_un holds 108 bytes, a folder's
    descriptor in /proc stands for any path. OSError if the folder cannot be opened."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)
