"""What an error of the database means for whoever asked."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy.exc import DataError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError

from ffrtmp.domain.errors import FarmError, InvalidRequest, StorageFull, Unavailable

SQLITE_PRIMARY = 0xFF
"""SQLite's extended codes carry their primary code in the low byte."""
SQLITE_BUSY = {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED}
POSTGRESQL_FULL = "53100"
POSTGRESQL_READ_ONLY = "25006"
POSTGRESQL_BUSY = {
    "40001",  # serialization_failure
    "40P01",  # deadlock_detected
    "53300",  # too_many_connections
    "55P03",  # lock_not_available
    "57014",  # query_canceled, by statement_timeout
}
BUSY = "the database is busy; try again"


@contextmanager
def translated() -> Iterator[None]:
    """Errors of the database as errors of the farm; what only a mistake in the code explains, and
    IntegrityError, which services decide on, pass as they are."""
    try:
        yield
    except PoolTimeoutError as error:
        raise Unavailable(BUSY) from error
    except DBAPIError as error:
        meant = _meaning(error)
        if meant is None:
            raise
        raise meant from error


def is_read_only(error: BaseException | None) -> bool:
    """Whether PostgreSQL takes no writes here: after a failover the connection leads to the old
    primary, and only a new one leads to the new."""
    return getattr(error, "sqlstate", None) == POSTGRESQL_READ_ONLY


def _meaning(error: DBAPIError) -> FarmError | None:
    said = " ".join(str(error.orig).split())
    sqlite_code = getattr(error.orig, "sqlite_errorcode", 0) & SQLITE_PRIMARY
    sqlstate = getattr(error.orig, "sqlstate", None)
    if sqlite_code == sqlite3.SQLITE_FULL or sqlstate == POSTGRESQL_FULL:
        return StorageFull(f"the database has no space left: {said}")
    if sqlite_code in SQLITE_BUSY or sqlstate in POSTGRESQL_BUSY:
        return Unavailable(BUSY)
    if isinstance(error, DataError):
        return InvalidRequest(f"the database cannot keep a value of this request: {said}")
    if error.connection_invalidated:
        return Unavailable(f"the connection to the database broke: {said}")
    if isinstance(error, OperationalError):
        answers = sqlite_code or sqlstate
        return Unavailable(f"the database {'refuses' if answers else 'does not answer'}: {said}")
    return None
