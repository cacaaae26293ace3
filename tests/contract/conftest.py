"""Every test here runs on SQLite and on a real PostgreSQL server."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.store.engine import Store
from ffrtmp.store.tables import metadata
from tests.builders import START
from tests.fakes import FakeWorld
from tests.postgresql import running_postgresql

RULES = FarmPolicy(node_timeout_seconds=60.0, max_retries=2)


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_postgresql(tmp_path_factory.getbasetemp().parent / "postgresql.lock") as server:
        yield server.url


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'farm.db'}"
    url: str = request.getfixturevalue("postgresql_url")
    return url


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    store = Store(store_url)
    store.migrate(now=START)
    yield store
    store.close()
    if not store.is_sqlite:
        engine = sa.create_engine(store_url)
        with engine.begin() as connection:
            metadata.drop_all(connection)
            connection.execute(sa.text("DROP TABLE alembic_version"))
        engine.dispose()


@pytest.fixture
def world(store: Store) -> FakeWorld:
    return FakeWorld.over(store, RULES)
