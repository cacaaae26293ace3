"""A view by bubblewrap: namespaces in which nothing but an attempt's own places is mounted."""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.box.names import Name, Names
from workers.box.programs import Programs, Shown
from workers.box.system import is_seen_by_all
from workers.box.user import MediaUser
from workers.box.view import Command, Places, files_named

INPUT: Final = "/box/input"
OUTPUT: Final = "/box/output"
SCRATCH: Final = "/box/scratch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """One place of an attempt: where it is in the box, and what the agent calls it."""

    name: Name
    is_writable: bool = False

    @property
    def shown(self) -> Shown:
        """By its real path: in a namespace of its own the agent's descriptors are nobody's.

        Whoever moves it between this and its mount has another file shown.
        """
        real = os.path.realpath(self.name.outside)
        return Shown(path=real, at=self.name.inside, is_writable=self.is_writable)


@dataclass(frozen=True, slots=True, kw_only=True)
class Mounted:
    """See View. ``places`` are the attempt's own, ``system`` and ``own_python`` everybody's.

    ``user`` is None where the agent has no rights to give up.
    """

    programs: Programs
    user: MediaUser | None
    system: tuple[str, ...]
    own_python: tuple[Shown, ...]
    places: tuple[Place, ...]
    has_network: bool

    @property
    def names(self) -> Names:
        """See View."""
        return Names(tuple(one.name for one in self.places))

    def command(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        working_directory: Path | None = None,
        tools: Iterable[Path] = (),
    ) -> Command:
        """See View."""
        as_user = () if self.user is None else self.programs.as_user(self.user)
        files = (Path(argv[0]), *tools, *files_named(environment))
        shown = [Shown(path=str(path), at=str(path)) for path in files if not is_seen_by_all(path)]
        within = "/" if working_directory is None else self.names.inside(str(working_directory))
        words = (*as_user, *self.programs.within(within), *argv)
        return self._command(shown, words, environment)

    def python(self, argv: Sequence[str], *, environment: Mapping[str, str]) -> Command:
        """See View."""
        files = (path for path in files_named(environment) if not is_seen_by_all(path))
        shown = (*self.own_python, *(Shown(path=str(path), at=str(path)) for path in files))
        return self._command(shown, (*self.programs.within("/"), *argv), environment)

    def _command(
        self,
        shown: Iterable[Shown],
        argv: Sequence[str],
        environment: Mapping[str, str],
    ) -> Command:
        box = self.programs.in_namespaces(
            (*shown, *(one.shown for one in self.places)),
            system=self.system,
            has_network=self.has_network,
            gives_up_rights=self.user is not None,
        )
        inside = tuple(map(self.names.inside, argv))
        return Command(argv=(*box, *inside), environment=environment, is_minded=True)


def places_of(places: Places) -> tuple[Place, ...]:
    """Where an attempt's places are in the box."""
    return tuple(_places(places))


def _places(places: Places) -> Iterator[Place]:
    source, output, scratch = places.source, places.output, places.scratch
    if source is not None:
        yield Place(name=Name(outside=str(source), inside=f"{INPUT}/{source.name}"))
    if output is not None:
        name = Name(outside=str(output), inside=f"{OUTPUT}/{output.name}")
        yield Place(name=name, is_writable=True)
    if scratch is not None:
        yield Place(name=Name(outside=str(scratch), inside=SCRATCH), is_writable=True)
