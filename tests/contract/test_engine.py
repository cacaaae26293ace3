"""The schema is what the migrations make, and no update is lost."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.store.engine import Store
from ffrtmp.store.events import EventFilter
from ffrtmp.store.jobs import JobFilter
from ffrtmp.store.tables import FARM_ROW, farm, metadata
from tests import builders
from tests.builders import START
from tests.databases import new_database
from tests.fakes import FakeWorld


@pytest.fixture
def connection(store: Store, store_url: str) -> Iterator[sa.Connection]:
    engine = sa.create_engine(store_url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def test_migrations_make_exactly_the_tables(connection: sa.Connection) -> None:
    assert compare_metadata(MigrationContext.configure(connection), metadata) == []


def test_migrating_again_keeps_what_is_there(store: Store) -> None:
    with store.write() as tx:
        tx.clock.beat()

    store.migrate(now=START)

    with store.read() as tx:
        assert tx.clock.read().api_beats == 1


def test_six_threads_reading_then_updating_lose_no_update(store: Store) -> None:
    """In the driver's default mode SQLite loses most of them without an error."""

    def raise_by_reading_first() -> None:
        for _ in range(50):
            with store.write() as tx:
                row = sa.select(farm.c.api_beats).where(farm.c.id == FARM_ROW)
                seen = tx.clock._db.execute(row.with_for_update()).scalar_one()
                tx.clock._db.execute(sa.update(farm).values(api_beats=seen + 1))

    threads = [threading.Thread(target=raise_by_reading_first) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    with store.read() as tx:
        assert tx.clock.read().api_beats == 300


def test_error_inside_a_transaction_leaves_nothing_behind(store: Store) -> None:
    def fail_midway() -> None:
        with store.write() as tx:
            tx.clock.beat()
            raise RuntimeError("midway")

    with pytest.raises(RuntimeError):
        fail_midway()

    with store.read() as tx:
        assert tx.clock.read().api_beats == 0


def test_database_that_does_not_answer_is_unavailable() -> None:
    store = Store("postgresql+psycopg://nobody@127.0.0.1:1/none")

    with pytest.raises(Unavailable), store.read():
        pass
    store.close()


def test_claim_and_top_up_search_their_indexes_on_sqlite(tmp_path: Path) -> None:
    world = FakeWorld.over(Store(f"sqlite:///{tmp_path}/plan.db"), FarmPolicy())
    world.farm.migrate()
    world.farm.nodes.register(builders.registration())
    seen: list[tuple[str, object]] = []
    with world.farm.store.write() as tx:
        engine = tx.clock._db.engine

    @sa.event.listens_for(engine, "before_cursor_execute")
    def note(_c: object, _cursor: object, sql: str, values: object, *_more: object) -> None:
        seen.append((sql, values))

    world.farm.attempts.claim(builders.claim())
    with world.farm.store.write() as tx:
        tx.backlog.count_due("live", farm_seconds=0, now=START, window=10)
        tx.jobs.pull_in_retries(latest=START, avoid_until=START)
        updates = [one for one in seen if one[0].startswith("UPDATE jobs")]
        counts = [one for one in seen if one[0].startswith("SELECT count")]
        plans = [_plan(tx.clock._db, *one) for one in (updates[0], counts[-1], updates[-1])]
    world.farm.close()

    assert "ix_jobs_by_rank" in plans[0]
    assert "COVERING INDEX ix_jobs_by_queue" in plans[1]
    assert "ix_jobs_retry_at" in plans[2]
    assert "TEMP B-TREE" not in plans[0]


def test_pages_of_an_owner_and_of_the_history_search_their_indexes_on_sqlite(
    tmp_path: Path,
) -> None:
    store = Store(new_database(tmp_path / "plan.db"))
    seen: list[tuple[str, object]] = []
    with store.read() as tx:
        engine = tx.jobs._db.engine

        @sa.event.listens_for(engine, "before_cursor_execute")
        def note(_c: object, _cursor: object, sql: str, values: object, *_more: object) -> None:
            seen.append((sql, values))

        tx.jobs.list(JobFilter(owner="alice"), limit=10)
        tx.events.list(EventFilter(kind=EventKind.KEY_CREATED), limit=10)
        tx.events.list(EventFilter(node_id="n"), limit=10)
        tx.events.list(EventFilter(since=START), limit=10)
        asked = [one for one in seen if one[0].startswith("SELECT")]
        plans = [_plan(tx.jobs._db, *one) for one in asked]
    store.close()

    for plan, index in zip(
        plans,
        ("ix_jobs_by_owner (", "ix_events_kind", "ix_events_node_id", "ix_events_at"),
        strict=True,
    ):
        assert index in plan
        assert "TEMP B-TREE" not in plan
        assert "SCAN events" not in plan


def _plan(connection: sa.Connection, sql: str, values: object) -> str:
    found = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {sql}", values)  # type: ignore[arg-type]
    return str(found.all())
