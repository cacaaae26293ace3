"""The box of this host: what stands between a media file's parser and everything else."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from workers.box.described import described
from workers.box.lending import lent
from workers.box.mounted import Mounted, places_of
from workers.box.programs import Programs, Shown
from workers.box.user import MediaUser
from workers.box.view import EVERYTHING, Places, View


class Walls(StrEnum):
    """What a box is made of; the values are those of facts and results."""

    BUBBLEWRAP = "bubblewrap"
    """Namespaces: no files but an attempt's own, no other processes, no network for files."""
    USER = "user"
    """A user without rights, where the agent is root."""
    RLIMITS = "rlimits"
    """The agent's own user: no new privileges, no environment, limits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Box:
    """The same for all attempts. ``user`` is None where the agent has no rights to give up.

    ``reasons`` say why there are no better walls.
    """

    walls: Walls
    user: MediaUser | None = None
    programs: Programs | None = None
    system: tuple[str, ...] = ()
    own_python: tuple[Shown, ...] = ()
    reasons: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """As facts and results say it."""
        return str(self.walls) if self.user is None else f"{self.walls} as {self.user.name}"

    @property
    def uid(self) -> int | None:
        """Of the user; None where that is the agent's own."""
        return None if self.user is None else self.user.uid

    @contextmanager
    def around(self, places: Places, *, has_network: bool) -> Iterator[View]:
        """What the processes of one attempt see, as long as the block lasts.

        What they write is the agent's again afterwards. AttemptFailed, OSError.
        """
        with lent(places, self.user), self._view(places, has_network=has_network) as view:
            yield view

    def empty(self) -> AbstractContextManager[View]:
        """What a process sees that belongs to no attempt."""
        return self._view(Places(), has_network=False)

    @contextmanager
    def _view(self, places: Places, *, has_network: bool) -> Iterator[View]:
        if self.programs is not None and self.walls is Walls.BUBBLEWRAP:
            yield self._mounted(self.programs, places, has_network=has_network)
        elif self.programs is not None and self.user is not None:
            with described(self.programs, self.user, places) as view:
                yield view
        else:
            yield EVERYTHING

    def _mounted(self, programs: Programs, places: Places, *, has_network: bool) -> Mounted:
        return Mounted(
            programs=programs,
            user=self.user,
            system=self.system,
            own_python=self.own_python,
            places=places_of(places),
            has_network=has_network,
        )


NO_BOX: Final = Box(walls=Walls.RLIMITS)
