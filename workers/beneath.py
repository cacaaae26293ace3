"""Folders held open below a root, so that no name that is changed meanwhile leads elsewhere."""

import contextlib
import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

_LOOK: Final = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class HeldFolder:
    """One folder, until the ``with`` ends; ``path`` is how people know it.

    Paths below ``view`` lead into this very folder, for this process and its children, whatever
    is renamed, moved or linked in its place.
    """

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.view = Path(f"/proc/{os.getpid()}/fd/{descriptor}")
        self._descriptor = descriptor

    def named(self, text: str) -> str:
        """The text as people would put it."""
        return text.replace(str(self.view), str(self.path))

    def close(self) -> None:
        """Let go of it; the same again does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


def open_beneath(root: Path, folder: Path, *, creates: bool = False) -> HeldFolder:
    """The folder, reached from its root without following a link; OSError where it cannot be.

    Both are absolute and the folder lies below the root or is it. ``creates`` makes what is
    missing below the root.
    """
    at = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for part in folder.relative_to(root).parts:
            at = _next(at, part, creates=creates)
    except OSError:
        os.close(at)
        raise
    return HeldFolder(folder, at)


def _next(at: int, part: str, *, creates: bool) -> int:
    """The folder of that name in place of ``at``, which is closed once there is one."""
    try:
        found = os.open(part, _LOOK, dir_fd=at)
    except FileNotFoundError:
        if not creates:
            raise
        with contextlib.suppress(FileExistsError):
            os.mkdir(part, dir_fd=at)
        found = os.open(part, _LOOK, dir_fd=at)
    os.close(at)
    return found
