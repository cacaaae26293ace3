"""PostgreSQL databases that a test leaves without space."""

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

from tests.chaos.disks import may_mount, small_disk
from tests.postgresql import PostgreSql

WRITTEN = ("jobs", "attempts", "events")


class Scarce(Protocol):
    """The database at ``url`` has room until ``fill``, and again after ``free``."""

    url: str

    def fill(self) -> None:
        """Let it store nothing new."""
        ...

    def free(self) -> None:
        """Give the space back."""
        ...


class OnSmallDisk:
    """Its tables lie on a small file system, next to a file that fills it."""

    def __init__(self, url: str, fill: Callable[[], None], free: Callable[[], None]) -> None:
        self.url, self.fill, self.free = url, fill, free


class SaysSo:
    """For hosts that mount nothing: it refuses each row with the words and code of a full disk."""

    def __init__(self, server: PostgreSql, name: str) -> None:
        self.url = server.new_database(name)
        self._server = server

    def fill(self) -> None:
        refuse = "RAISE 'could not extend file: No space left' USING ERRCODE = 'disk_full'"
        self._server.execute(
            f"CREATE FUNCTION refuse() RETURNS trigger AS $$BEGIN {refuse}; END$$ LANGUAGE plpgsql",
            *(
                f"CREATE TRIGGER refuse BEFORE INSERT ON {table} "
                "FOR EACH ROW EXECUTE FUNCTION refuse()"
                for table in WRITTEN
            ),
            url=self.url,
        )

    def free(self) -> None:
        self._server.execute("DROP FUNCTION refuse CASCADE", url=self.url)


MakeScarce = Callable[[PostgreSql], AbstractContextManager[Scarce]]


@contextlib.contextmanager
def on_small_disk(server: PostgreSql) -> Iterator[Scarce]:
    """Needs a host that mounts."""
    with small_disk(server.new_folder("disk")) as disk:
        url = server.new_database("small", at=disk.folder)
        yield OnSmallDisk(url, disk.fill, disk.free)
        server.execute("DROP DATABASE small WITH (FORCE)", "DROP TABLESPACE small")


@contextlib.contextmanager
def says_so(server: PostgreSql) -> Iterator[Scarce]:
    """Works on every host."""
    yield SaysSo(server, "says_so")


def scarce_databases() -> list[MakeScarce]:
    """Every kind this host has."""
    return [says_so, on_small_disk] if may_mount() else [says_so]
