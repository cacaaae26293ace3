"""Every test here runs on SQLite and on a real PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.store.engine import Store
from ffrtmp.store.tables import metadata
from tests.builders import START
from tests.databases import new_database
from tests.fakes import FakeWorld
from tests.postgresql import PostgreSql, running_postgresql

RULES = FarmPolicy(node_timeout_seconds=60.0, max_retries=2)


@pytest.fixture(scope="session")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSql]:
    with running_postgresql(tmp_path_factory.getbasetemp().parent / "postgresql.lock") as server:
        store = Store(server.url)
        store.migrate(now=START)
        store.close()
        yield server


@pytest.fixture
def postgresql_url(postgresql: PostgreSql) -> str:
    """Of a database as one that was just migrated: migrating takes longer than most tests."""
    postgresql.execute(f"TRUNCATE {', '.join(metadata.tables)} RESTART IDENTITY")
    store = Store(postgresql.url)
    with store.write() as tx:
        tx.clock.create(START)
    store.close()
    return postgresql.url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return new_database(tmp_path / "farm.db")
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    store = Store(store_url)
    yield store
    store.close()


@pytest.fixture
def world(store: Store) -> FakeWorld:
    return FakeWorld.over(store, RULES)
