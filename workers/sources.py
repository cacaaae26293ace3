"""Where an attempt reads from: checked before anything opens it, and laid out by itself."""

import os
import re
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ffrtmp.domain.locations import is_local
from ffrtmp.domain.retry import FailureClass
from workers.errors import AttemptFailed

MAX_NAME_CHARACTERS: Final = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class FileState:
    """Which file lies at a path, and which content, as far as one can tell without reading it."""

    device: int
    inode: int
    size: int
    modified_ns: int


def find_source(location: str | None, roots: tuple[Path, ...]) -> str | None:
    """Absolute path or URL, None for a test source; AttemptFailed says what is wrong.

    A path outside the roots is refused whether there is anything or not.
    """
    if location is None or not is_local(location):
        return location
    path = _under(location, roots)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        raise AttemptFailed(
            FailureClass.INPUT_MISSING, f"input {location} does not exist on this node"
        ) from None
    except OSError as error:
        raise _refused(location, f"cannot be looked at: {error.strerror}") from error
    if not stat.S_ISREG(mode):
        raise _refused(location, "is not a file")
    if not os.access(path, os.R_OK):
        raise _refused(location, "is not readable")
    return str(path)


def _under(location: str, roots: tuple[Path, ...]) -> Path:
    """The path without links, below one of the roots."""
    if not roots:
        raise _refused(
            location, "is a local file, and this node reads none: start its agent with --media-root"
        )
    try:
        path = Path(location).resolve()
        if any(path.is_relative_to(root.resolve()) for root in roots):
            return path
    except (OSError, RuntimeError, ValueError) as error:
        # a loop of links is a RuntimeError, what no file system can name a ValueError
        raise _refused(location, f"cannot be looked at: {error}") from error
    raise _refused(location, "is outside this node's media roots")


def _refused(location: str, why: str) -> AttemptFailed:
    return AttemptFailed(FailureClass.INPUT_REFUSED, f"input {location} {why}")


def state_of(source: str | None) -> FileState | None:
    """The state of a local file; None where there is none, and for what is not local."""
    if source is None or not is_local(source):
        return None
    try:
        found = Path(source).stat()
    except OSError:
        return None
    return FileState(
        device=found.st_dev,
        inode=found.st_ino,
        size=found.st_size,
        modified_ns=found.st_mtime_ns,
    )


def check_unchanged(source: str, before: FileState) -> None:
    """AttemptFailed where a local input is not the file any more that it was."""
    now = state_of(source)
    if now is None:
        raise AttemptFailed(
            FailureClass.INPUT_MISSING, f"input {source} disappeared while it was encoded"
        )
    if now != before:
        raise AttemptFailed(FailureClass.BAD_INPUT, f"input {source} changed while it was encoded")


@contextmanager
def laid_out(source: str | None, folder: Path) -> Iterator[str | None]:
    """What the attempt's children open: of a local file a link that lies alone in ``folder``.

    Names inside a file that are relative to it lead into that folder, where nothing else is. The
    folder, made here, is removed again; URLs and test sources are passed through.
    """
    if source is None or not is_local(source):
        yield source
        return
    with own_folder(folder):
        link = folder / tame(Path(source).name)
        link.symlink_to(source)
        yield str(link)


@contextmanager
def own_folder(folder: Path) -> Iterator[Path]:
    """The folder, made here and removed again with all that is in it."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def tame(name: str) -> str:
    """A file name of plain characters that keeps the extension, for whoever reads logs."""
    plain = re.sub(r"[^A-Za-z0-9._-]", "_", name).lstrip(".-")
    return plain[-MAX_NAME_CHARACTERS:].lstrip(".-") or "input"
