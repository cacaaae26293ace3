"""How the processes of one attempt are started, and what they see of this host."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from workers.box.names import Names
from workers.box.user import MediaUser


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """What an attempt reads and writes on this host: ``source`` is a local path.

    ``output``, a file or folder, is there already.
    """

    source: Path | None = None
    output: Path | None = None
    scratch: Path | None = None

    @property
    def written(self) -> tuple[Path, ...]:
        """Where its processes write."""
        return tuple(path for path in (self.output, self.scratch) if path is not None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """How to start one process.

    ``argv`` and ``environment`` name places as it sees them. It inherits ``descriptors`` and is
    started within ``working_directory``, wherever that may be where it is None.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str]
    working_directory: Path | None = None
    descriptors: tuple[int, ...] = ()
    is_minded: bool = False
    """Its parent ends in its place: by its exit code, or by 128 and the number of its signal."""


class View(Protocol):
    """What the processes of one attempt see."""

    @property
    def names(self) -> Names:
        """What they call the attempt's places."""
        ...

    @property
    def user(self) -> MediaUser | None:
        """As whom they run; None is as the agent."""
        ...

    def command(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        working_directory: Path | None = None,
        tools: Iterable[Path] = (),
    ) -> Command:
        """How to start a program on media; ``tools`` are further files that it needs."""
        ...

    def python(self, argv: Sequence[str], *, environment: Mapping[str, str]) -> Command:
        """How to start this package's own Python, which is told ``identity_of(user)``."""
        ...


@dataclass(frozen=True, slots=True)
class Everything:
    """All that the agent sees: no box."""

    names: Names = field(default_factory=Names)
    user: MediaUser | None = None

    def command(
        self,
        argv: Sequence[str],
        *,
        environment: Mapping[str, str],
        working_directory: Path | None = None,
        tools: Iterable[Path] = (),  # noqa: ARG002
    ) -> Command:
        """See View."""
        return Command(
            argv=tuple(argv), environment=environment, working_directory=working_directory
        )

    def python(self, argv: Sequence[str], *, environment: Mapping[str, str]) -> Command:
        """See View."""
        return self.command(argv, environment=environment)


EVERYTHING: Final = Everything()
_FILES: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR", "GST_REGISTRY")


def files_named(environment: Mapping[str, str]) -> tuple[Path, ...]:
    """The files that a media process is told of by its environment, as far as they are there."""
    named = (Path(environment[name]) for name in _FILES if name in environment)
    return tuple(path for path in named if path.is_absolute() and path.exists())
