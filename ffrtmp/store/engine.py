"""Engines and transactions: one writer at a time on SQLite, row locks on PostgreSQL."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import StaticPool

from ffrtmp.store.attempts import Attempts
from ffrtmp.store.backlog import Backlog
from ffrtmp.store.clock import ClockRow
from ffrtmp.store.events import Events
from ffrtmp.store.failures import is_read_only, translated
from ffrtmp.store.jobs import Jobs
from ffrtmp.store.keys import Keys
from ffrtmp.store.nodes import Nodes
from ffrtmp.store.submissions import Submissions

BUSY_TIMEOUT_SECONDS = 4.0
"""For a connection of the pool, and again for a lock: both stay within the 10 s clients wait."""
CONNECT_TIMEOUT_SECONDS = 4
STATEMENT_TIMEOUT_SECONDS = 30
IDLE_TIMEOUT_SECONDS = 30
"""A process that hangs, or whose host is gone, holds its locks no longer than this."""
MIGRATIONS = Path(__file__).parent / "migrations"
MIGRATION_LOCK = 0x66667274  # "ffrt": any number that other users of the database do not take


@dataclass(frozen=True, slots=True)
class Transaction:
    """The store as one transaction sees it, a room per noun."""

    jobs: Jobs
    backlog: Backlog
    attempts: Attempts
    nodes: Nodes
    events: Events
    clock: ClockRow
    submissions: Submissions
    keys: Keys

    @classmethod
    def over(cls, connection: sa.Connection) -> "Transaction":
        """The rooms over one open connection."""
        return cls(
            jobs=Jobs(connection),
            backlog=Backlog(connection),
            attempts=Attempts(connection),
            nodes=Nodes(connection),
            events=Events(connection),
            clock=ClockRow(connection),
            submissions=Submissions(connection),
            keys=Keys(connection),
        )


class Store:
    """The database behind ``url`` (SQLite file or memory, PostgreSQL)."""

    def __init__(self, url: str) -> None:
        self.url = sa.make_url(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        if self.is_sqlite and self.url.database in (None, "", ":memory:"):
            self._writer = self._reader = _memory_engine()
        elif self.is_sqlite:
            # One writing connection a process: its threads queue fairly in the pool instead of
            # polling SQLite's lock; the lock itself keeps other processes out.
            self._writer = _sqlite_engine(self.url, "BEGIN IMMEDIATE", pool_size=1)
            self._reader = _sqlite_engine(self.url, "BEGIN", pool_size=10)
        else:
            self._writer = self._reader = _postgresql_engine(self.url)

    def make_room(self) -> None:
        """Make a SQLite file and its folder, for their owner alone; its journals are as it is."""
        if self.is_sqlite and self.url.database:
            file = Path(self.url.database)
            file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not file.exists():
                with suppress(OSError):  # who opens it says why it cannot be
                    file.touch(mode=0o600)

    @contextmanager
    def write(self) -> Iterator[Transaction]:
        """A transaction that may change rows; committed at the end, rolled back on any error."""
        with translated(), self._writer.begin() as connection:
            yield Transaction.over(connection)

    @contextmanager
    def read(self) -> Iterator[Transaction]:
        """A transaction that only reads, never waiting for a writer on SQLite."""
        with translated(), self._reader.connect() as connection:
            yield Transaction.over(connection)

    def migrate(self, *, now: datetime) -> None:
        """Bring the schema to this release's; safe when several processes do it at once."""
        # Only the API migrates; no other process needs to wait until this is loaded.
        from alembic import command
        from alembic.config import Config

        with translated(), self._writer.begin() as connection:
            if not self.is_sqlite:
                # Another process may migrate for longer than any request should take.
                connection.exec_driver_sql("SET LOCAL lock_timeout = 0")
                connection.exec_driver_sql("SET LOCAL statement_timeout = 0")
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(MIGRATION_LOCK)))
            config = Config()
            config.set_main_option("script_location", str(MIGRATIONS))
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
            ClockRow(connection).create(now)

    def close(self) -> None:
        """Give back every connection."""
        self._writer.dispose()
        self._reader.dispose()


def _memory_engine() -> sa.Engine:
    engine = sa.create_engine("sqlite://", poolclass=StaticPool)
    _prepare(engine, "BEGIN IMMEDIATE")
    return engine


def _sqlite_engine(url: sa.URL, begin: str, *, pool_size: int) -> sa.Engine:
    engine = sa.create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_SECONDS,
        connect_args={"timeout": BUSY_TIMEOUT_SECONDS},
    )
    _prepare(engine, begin)
    return engine


def _postgresql_engine(url: sa.URL) -> sa.Engine:
    """Nothing waits for ever on a server that is gone; what the URL says goes before these."""
    limits = {
        "lock_timeout": BUSY_TIMEOUT_SECONDS,
        "statement_timeout": STATEMENT_TIMEOUT_SECONDS,
        "idle_in_transaction_session_timeout": IDLE_TIMEOUT_SECONDS,
    }
    known = {
        "connect_timeout": CONNECT_TIMEOUT_SECONDS,
        "tcp_user_timeout": 10_000,
        "keepalives_idle": 5,
        "keepalives_interval": 2,
        "keepalives_count": 3,
        "options": " ".join(f"-c {name}={seconds * 1000:.0f}" for name, seconds in limits.items()),
    }
    engine = sa.create_engine(
        url,
        pool_size=10,
        max_overflow=10,
        pool_timeout=BUSY_TIMEOUT_SECONDS,
        pool_pre_ping=True,
        connect_args={name: value for name, value in known.items() if name not in url.query},
    )

    @sa.event.listens_for(engine, "handle_error")
    def _failed(context: sa.engine.ExceptionContext) -> None:
        if is_read_only(context.original_exception):
            context.is_disconnect = True

    return engine


def _prepare(engine: sa.Engine, begin: str) -> None:
    """Take transactions out of the driver's hands: it would begin them late and deferred.

    A transaction that reads first and writes later fails at once with SQLITE_BUSY_SNAPSHOT
    whatever the timeout, so every writing one begins IMMEDIATE.
    """

    @sa.event.listens_for(engine, "connect")
    def _connected(connection: sqlite3.Connection, _record: Any) -> None:
        connection.isolation_level = None
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA foreign_keys=ON")

    @sa.event.listens_for(engine, "begin")
    def _begun(connection: sa.Connection) -> None:
        connection.exec_driver_sql(begin)
