"""The database of the simulated world: the real store, which may be away, full, or give up."""

import random
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from ffrtmp.domain.errors import StorageFull, Unavailable
from ffrtmp.store.engine import Store, Transaction
from ffrtmp.store.tables import metadata
from tests.builders import START

ROLLED_BACK, UNSURE = 0.003, 0.003


class Died(Exception):  # noqa: N818
    """The process ends here: kill -9 between two transactions."""


class SimStore(Store):
    """One SQLite database for all seeds of a process; ``begin`` empties it for the next.

    A transaction may be rolled back at its end, or committed though whoever asked only hears of
    an error. ``between`` is called before each one.
    """

    def __init__(self) -> None:
        super().__init__("sqlite://")
        self.migrate(now=START)
        self._driver = self._writer.raw_connection().driver_connection
        self.begin(random.Random(0))

    def begin(self, rng: random.Random) -> None:
        """Empty, up, and drawing its faults from ``rng``."""
        self._rng = rng
        self.is_up, self.is_full = True, False
        self.dies_after: int | None = None
        self.between: Callable[[], None] = lambda: None
        with super().write() as tx:
            for table in metadata.sorted_tables:
                tx.clock._db.execute(table.delete())
            tx.clock.create(START)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """As the real one, with faults."""
        self._asked()
        if self.is_full:
            raise StorageFull("the database has no space left")
        with super().write() as tx:
            yield tx
            if self._rng.random() < ROLLED_BACK:
                raise Unavailable("the connection broke before the commit")
        if self._rng.random() < UNSURE:
            raise Unavailable("the connection broke after the commit")

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """As the real one, with faults."""
        self._asked()
        with super().read() as tx:
            yield tx

    def look(self) -> AbstractContextManager[Transaction]:
        """A reading transaction for checks: no faults."""
        return super().read()

    def sql(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows past every layer of the code under test; only between transactions."""
        found: list[tuple[Any, ...]] = self._driver.execute(query, values).fetchall()  # type: ignore[union-attr]
        return found

    def _asked(self) -> None:
        self.between()
        if self.dies_after is not None:
            if self.dies_after == 0:
                raise Died
            self.dies_after -= 1
        if not self.is_up:
            raise Unavailable("the database does not answer")
