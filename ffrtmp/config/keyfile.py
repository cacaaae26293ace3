"""A key from a file that only its owner reads."""

import os
import stat
from pathlib import Path

MAX_BYTES = 4096
OTHERS = stat.S_IRWXO | stat.S_IRWXG
NOT_MEANT = stat.S_IRWXO | stat.S_IWGRP
"""Of a file that somebody else put there, as service managers do: they let a group read it."""


class UnusableKeyFile(Exception):  # noqa: N818
    """The file holds no key, or others may read it; the text says what to do."""


def read_key(file: Path) -> str:
    """The one line of a file; UnusableKeyFile."""
    try:
        with file.open("rb") as stream:
            _require_private(file, os.fstat(stream.fileno()))
            text = stream.read(MAX_BYTES + 1)
    except OSError as error:
        raise UnusableKeyFile(f"{file}: {error.strerror}") from error
    key = text.strip().decode("ascii", "replace")
    if not key or len(text) > MAX_BYTES or "\n" in key:
        raise UnusableKeyFile(f"{file}: must hold one line, the key")
    return key


def _require_private(file: Path, found: os.stat_result) -> None:
    forbidden = OTHERS if found.st_uid == os.geteuid() else NOT_MEANT
    if found.st_mode & forbidden:
        raise UnusableKeyFile(
            f"{file}: others than its owner may read or write it; run: chmod 600 {file}"
        )
