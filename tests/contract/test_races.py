"""What two transactions do to each other, on both databases.

One is held open by the test, the other runs in a thread. SQLite lets the second begin only when
the first has ended; PostgreSQL lets them meet.
"""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import sqlalchemy as sa

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.attempts import Grant
from ffrtmp.services.pauses import Pauses
from ffrtmp.store.engine import Store, Transaction
from tests import builders
from tests.fakes import FakeWorld

RENEWED_UNTIL = 1000.0


@contextmanager
def while_open(store: Store, meanwhile: Callable[[], object]) -> Iterator[Transaction]:
    """A transaction; ``meanwhile`` runs beside it until it waits for it, and ends after it."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            meanwhile()
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    thread = threading.Thread(target=run)
    with store.write() as tx:
        yield tx
        thread.start()
        while thread.is_alive() and not _somebody_waits(store):
            thread.join(0.01)
    thread.join()
    assert errors == []


def _somebody_waits(store: Store) -> bool:
    if store.is_sqlite:
        return True
    with store.read() as tx:
        waiting = sa.text("SELECT count(*) FROM pg_locks WHERE NOT granted")
        return bool(tx.clock._db.execute(waiting).scalar_one())


def running(world: FakeWorld, **asked: object) -> Grant:
    world.farm.jobs.submit([builders.request(**asked)])  # type: ignore[arg-type]
    world.farm.nodes.register(builders.registration())
    grant = world.farm.attempts.claim(builders.claim())
    assert grant is not None
    return grant


def renew(tx: Transaction, grant: Grant) -> None:
    """What a heartbeat does to an attempt it lists."""
    tx.attempts.note_progress(
        builders.progress_of(grant),
        node_id=grant.attempt.node_id,
        expires_farm=RENEWED_UNTIL,
        farm_seconds=RENEWED_UNTIL,
    )


def test_lease_that_a_heartbeat_renews_while_it_is_found_expired_goes_on(
    world: FakeWorld,
) -> None:
    grant = running(world)
    world.pass_farm_seconds(55)
    world.clock.pass_seconds(10)
    world.farm.prove_alive()

    with while_open(world.farm.store, world.farm.reconciler.run_once) as tx:
        renew(tx, grant)

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


def test_stream_canceled_while_a_heartbeat_renews_it_is_held_for_the_renewed_lease(
    world: FakeWorld,
) -> None:
    grant = running(world, is_stream=True)

    with while_open(world.farm.store, lambda: world.farm.jobs.cancel(grant.job.id)) as tx:
        renew(tx, grant)

    assert world.farm.jobs.get(grant.job.id).hold_until_farm == RENEWED_UNTIL


def test_job_retried_while_retention_removes_it_stays(world: FakeWorld) -> None:
    grant = running(world)
    world.farm.attempts.report(builders.failed(grant, FailureClass.BAD_INPUT))
    world.clock.pass_seconds(31 * 86_400)

    with while_open(world.farm.store, world.farm.retention.run_once) as tx:
        job = tx.jobs.lock(grant.job.id)
        assert job is not None
        tx.jobs.move(job, JobStatus.PENDING, completed_at=None)

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.PENDING
    assert len(world.farm.jobs.attempts(grant.job.id)) == 1


def test_log_begun_twice_at_once_is_one_log(world: FakeWorld) -> None:
    grant = running(world)

    def append() -> None:
        world.farm.attempts.append_log(
            grant.job.id,
            1,
            node_id="node-1",
            lease=grant.attempt.lease,
            offset=0,
            text="one",
        )

    with while_open(world.farm.store, append) as tx:
        tx.attempts.lock(grant.job.id, 1)
        tx.attempts.append_log(grant.job.id, 1, offset=0, text="one")

    assert world.farm.jobs.log(grant.job.id).text == "one"


def test_two_attempts_that_go_on_at_once_share_no_slot(world: FakeWorld) -> None:
    one = running(world)
    world.farm.jobs.pause(one.job.id)
    (job,) = world.farm.jobs.submit([builders.request()])
    other = world.farm.attempts.claim(builders.claim(claim_id="claim-2"))
    assert other is not None
    world.farm.jobs.pause(job.id)

    with while_open(world.farm.store, lambda: world.farm.jobs.resume(job.id)) as tx:
        tx.nodes.lock("node-1")
        Pauses(world.farm.context).let_go_on(tx, one.attempt)

    assert world.farm.jobs.get(one.job.id).status is JobStatus.RUNNING
    assert world.farm.jobs.get(job.id).status is JobStatus.PAUSED
