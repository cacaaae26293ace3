"""A view by descriptors: an attempt's own places are handed over open.

What the agent can reach, the user that it gives its rights up for often cannot: folders of root,
such as a home, are closed to everybody else. A place that lies within is opened by the agent, and
the process finds it under ``/proc/self/fd``, where only its own mode counts.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from workers.box.names import Name, Names
from workers.box.programs import Programs
from workers.box.user import MediaUser
from workers.box.view import Command, Places, files_named

_SEARCHED: Final = 0o711
_BY_ALL: Final = 0o001


class Described:
    """See View; made by ``described``."""

    def __init__(self, programs: Programs, user: MediaUser) -> None:
        self.user: MediaUser | None = user
        self._as_user = programs.as_user(user)
        self._open: dict[Path, int] = {}
        self._names: list[Name] = []

    @property
    def names(self) -> Names:
        """See View."""
        return Names(tuple(self._names))

    def command(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        working_directory: Path | None = None,
        tools: Iterable[Path] = (),
    ) -> Command:
        """See View."""
        for path in (Path(argv[0]), *tools, *files_named(environment)):
            if not is_open_to_all(path):
                self.hand_over(path)
        inside = self.names.inside
        return Command(
            argv=(*self._as_user, *map(inside, argv)),
            environment={name: inside(value) for name, value in environment.items()},
            working_directory=working_directory,
            descriptors=tuple(self._open.values()),
        )

    def python(self, argv: Sequence[str], *, environment: Mapping[str, str]) -> Command:
        """See View. It starts as the agent, and so finds its own code."""
        for path in files_named(environment):
            if not is_open_to_all(path):
                self.hand_over(path)
        inside = self.names.inside
        return Command(
            argv=tuple(map(inside, argv)),
            environment={name: inside(value) for name, value in environment.items()},
            descriptors=tuple(self._open.values()),
        )

    def hand_over(self, path: Path) -> None:
        """Let the processes find it by a descriptor; OSError."""
        if path not in self._open:
            self._open[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)
            self._names.append(Name(outside=str(path), inside=f"/proc/self/fd/{self._open[path]}"))

    def hand_over_input(self, path: Path) -> None:
        """The same for an input: alone in a folder, by a name that is like its own."""
        folder = path.parent / "handed-over"
        folder.mkdir(exist_ok=True)
        folder.chmod(_SEARCHED)
        self._open[path] = os.open(path, os.O_PATH | os.O_CLOEXEC)
        (folder / path.name).symlink_to(f"/proc/self/fd/{self._open[path]}")
        self._open[folder] = os.open(folder, os.O_PATH | os.O_CLOEXEC)
        inside = f"/proc/self/fd/{self._open[folder]}/{path.name}"
        self._names.append(Name(outside=str(path), inside=inside))

    def close(self) -> None:
        """Let go of everything."""
        while self._open:
            os.close(self._open.popitem()[1])


@contextmanager
def described(programs: Programs, user: MediaUser, places: Places) -> Iterator[Described]:
    """A view of these places as long as the block lasts; OSError."""
    view = Described(programs, user)
    try:
        if places.source is not None:
            view.hand_over_input(places.source)
        for path in places.written:
            view.hand_over(path)
        yield view
    finally:
        view.close()


def is_open_to_all(path: Path) -> bool:
    """True where every user finds it and may run or enter it; OSError."""
    real = path.resolve(strict=True)
    return all(one.stat().st_mode & _BY_ALL for one in (real, *real.parents))
