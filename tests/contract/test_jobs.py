"""What people do with jobs, on both databases."""

import threading

import pytest

from ffrtmp.domain.errors import IdempotencyMismatch, JobStateConflict, NotFound
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.services.attempts import Grant
from ffrtmp.services.jobs import Idempotency
from ffrtmp.store.jobs import JobFilter
from tests import builders
from tests.fakes import FakeWorld

KEY = Idempotency(key="k", body_sha256="x" * 64)


def submitted(world: FakeWorld, **asked: object) -> Job:
    return world.farm.jobs.submit([builders.request(**asked)])[0]  # type: ignore[arg-type]


def claimed(world: FakeWorld) -> Grant:
    world.farm.nodes.register(builders.registration())
    grant = world.farm.attempts.claim(builders.claim())
    assert grant is not None
    return grant


def test_submitted_job_is_stored_with_its_first_event_and_rung(world: FakeWorld) -> None:
    job = submitted(world)

    assert world.farm.jobs.get(job.id) == job
    assert world.farm.jobs.get(job.sequence_number) == job
    assert [event.kind for event in world.farm.jobs.events(job.id)] == [EventKind.JOB_SUBMITTED]
    assert [hint.job_id for hint in world.bell.hints] == [job.id]


def test_submit_while_the_broker_is_away_is_accepted(world: FakeWorld) -> None:
    world.bell.is_up = False

    assert submitted(world).status is JobStatus.PENDING


def test_same_idempotency_key_and_body_makes_one_job(world: FakeWorld) -> None:
    first = world.farm.jobs.submit([builders.request()], idempotency=KEY)
    second = world.farm.jobs.submit([builders.request()], idempotency=KEY)

    assert [job.id for job in second] == [job.id for job in first]
    assert len(world.farm.jobs.list(JobFilter(), limit=10)) == 1
    assert len(world.bell.hints) == 1


def test_same_idempotency_key_with_another_body_is_refused(world: FakeWorld) -> None:
    world.farm.jobs.submit([builders.request()], idempotency=KEY)
    other = Idempotency(key=KEY.key, body_sha256="y" * 64)

    with pytest.raises(IdempotencyMismatch):
        world.farm.jobs.submit([builders.request()], idempotency=other)


def test_one_idempotency_key_at_once_from_eight_threads_makes_one_job(world: FakeWorld) -> None:
    made: list[str] = []

    def submit() -> None:
        made.append(world.farm.jobs.submit([builders.request()], idempotency=KEY)[0].id)

    threads = [threading.Thread(target=submit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(made) == 8
    assert len(set(made)) == 1


def test_failing_batch_stores_nothing(world: FakeWorld) -> None:
    broken = builders.request(requires="x" * 10)
    object.__setattr__(broken, "spec", {"not": {"json": object()}})

    with pytest.raises(Exception, match="JSON"):
        world.farm.jobs.submit([builders.request(), broken])

    assert world.farm.jobs.list(JobFilter(), limit=10) == []
    assert world.bell.hints == []


def test_canceling_a_pending_job_twice_is_once(world: FakeWorld) -> None:
    job = submitted(world)

    assert world.farm.jobs.cancel(job.id).status is JobStatus.CANCELED
    assert world.farm.jobs.cancel(job.id).status is JobStatus.CANCELED
    kinds = [event.kind for event in world.farm.jobs.events(job.id)]
    assert kinds.count(EventKind.JOB_CANCELED) == 1


def test_canceling_a_running_job_ends_its_lease_and_nudges_its_node(world: FakeWorld) -> None:
    submitted(world)
    grant = claimed(world)

    job = world.farm.jobs.cancel(grant.job.id)

    assert job.status is JobStatus.CANCELED
    assert world.bell.nudged == ["node-1"]
    assert not world.farm.jobs.attempts(job.id)[0].is_live


def test_cancel_loses_once_the_job_commits(world: FakeWorld) -> None:
    submitted(world)
    grant = claimed(world)
    world.farm.attempts.commit(
        grant.job.id,
        1,
        node_id="node-1",
        lease=grant.attempt.lease,
        size=1,
        sha256=builders.SHA_A,
    )

    with pytest.raises(JobStateConflict):
        world.farm.jobs.cancel(grant.job.id)


def test_retry_of_a_canceled_job_is_pending_with_its_history(world: FakeWorld) -> None:
    job = submitted(world)
    world.farm.jobs.cancel(job.id)

    again = world.farm.jobs.retry(job.id)

    assert (again.status, again.failures) == (JobStatus.PENDING, 0)
    assert EventKind.JOB_CANCELED in [event.kind for event in world.farm.jobs.events(job.id)]
    assert world.farm.jobs.retry(job.id).status is JobStatus.PENDING


def test_retry_of_a_running_job_is_refused(world: FakeWorld) -> None:
    submitted(world)
    grant = claimed(world)

    with pytest.raises(JobStateConflict):
        world.farm.jobs.retry(grant.job.id)


def test_reprioritized_job_is_claimed_before_its_old_betters(world: FakeWorld) -> None:
    submitted(world)
    late = submitted(world, queue=Queue.BATCH, priority=Priority.LOW)

    world.farm.jobs.reprioritize(late.id, queue=Queue.LIVE, priority=None)

    assert claimed(world).job.id == late.id


def test_reprioritizing_to_the_same_place_twice_is_once(world: FakeWorld) -> None:
    job = submitted(world)
    for _ in range(2):
        world.farm.jobs.reprioritize(job.id, queue=Queue.LIVE, priority=None)

    kinds = [event.kind for event in world.farm.jobs.events(job.id)]
    assert kinds == [EventKind.JOB_SUBMITTED, EventKind.JOB_REPRIORITIZED]


def test_reprioritizing_a_running_job_is_refused(world: FakeWorld) -> None:
    submitted(world)
    grant = claimed(world)

    with pytest.raises(JobStateConflict):
        world.farm.jobs.reprioritize(grant.job.id, queue=Queue.LIVE, priority=None)


def test_unknown_job_is_not_found(world: FakeWorld) -> None:
    with pytest.raises(NotFound):
        world.farm.jobs.get(99)


def test_list_is_filtered_and_paged_newest_first(world: FakeWorld) -> None:
    jobs = [submitted(world) for _ in range(3)]
    submitted(world, queue=Queue.LIVE)

    chosen = JobFilter(queue=Queue.DEFAULT, before=jobs[2].sequence_number)
    page = world.farm.jobs.list(chosen, limit=10)

    assert [job.id for job in page] == [jobs[1].id, jobs[0].id]
