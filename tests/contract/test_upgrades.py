"""A database of an older release, with data in it, becomes one of this release."""

from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.services.jobs import Idempotency
from ffrtmp.store.engine import MIGRATIONS, Store
from ffrtmp.store.jobs import JobFilter
from tests import builders
from tests.builders import START
from tests.fakes import FakeWorld
from tests.postgresql import PostgreSql

BEFORE_KEYS = "0002"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/old.db"
    server: PostgreSql = request.getfixturevalue("postgresql")
    server.execute("DROP SCHEMA IF EXISTS older CASCADE; CREATE SCHEMA older")
    return f"{server.url}{'&' if '?' in server.url else '?'}options=-csearch_path%3Dolder"


def steps(url: str, revision: str) -> None:
    """Bring the schema up, or down, to a revision."""
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS))
        config.attributes["connection"] = connection
        move = command.upgrade if revision != BEFORE_KEYS else command.downgrade
        move(config, revision)
    engine.dispose()


def test_jobs_and_idempotency_keys_of_before_keys_go_to_the_one_key_there_was(
    empty_url: str,
) -> None:
    store = Store(empty_url)
    store.migrate(now=START)
    world = FakeWorld.over(store, FarmPolicy())
    promise = Idempotency(key="k", body_sha256="x" * 64)
    (job,) = world.farm.jobs.submit([builders.request()], owner="bootstrap", idempotency=promise)
    world.farm.nodes.register(builders.registration())
    store.close()
    steps(empty_url, BEFORE_KEYS)

    world.farm.store.migrate(now=START)

    assert world.farm.jobs.get(job.id).owner == "bootstrap"
    (again,) = world.farm.jobs.submit([builders.request()], owner="bootstrap", idempotency=promise)
    assert again.id == job.id
    assert len(world.farm.jobs.list(JobFilter(owner="bootstrap"), limit=10)) == 1
    assert world.farm.nodes.get("node-1").node.revoked_at is None
    assert world.farm.access.identify(None, bootstrap=None)
    store.close()
