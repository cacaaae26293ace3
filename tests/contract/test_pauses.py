"""Pausing jobs and queues, on both databases."""

import pytest

from ffrtmp.domain.attempt import Order
from ffrtmp.domain.errors import JobStateConflict
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.store.engine import Store
from tests import builders
from tests.contract.conftest import RULES
from tests.contract.deeds import (
    attempts,
    beat,
    best,
    claim,
    commit,
    complete,
    granted,
    kinds,
    status,
    submit,
    worst,
)
from tests.fakes import FakeWorld


@pytest.fixture
def world(world: FakeWorld) -> FakeWorld:
    world.farm.nodes.register(builders.registration(slots=1))
    return world


def test_paused_job_gives_its_slot_away_and_its_node_is_told(world: FakeWorld) -> None:
    job, other = worst(world), worst(world)
    grant = granted(world)
    world.farm.jobs.pause(job.id)

    assert status(world, job) is JobStatus.PAUSED
    assert world.bell.nudged == ["node-1"]
    assert beat(world, grant, seq=1) == [Order.PAUSE]
    assert granted(world).job.id == other.id


def test_job_paused_by_an_operator_goes_on_only_when_told(world: FakeWorld) -> None:
    job = worst(world)
    grant = granted(world)
    world.farm.jobs.pause(job.id)
    world.farm.jobs.pause(job.id)
    world.pass_farm_seconds(20)
    still = beat(world, grant, seq=1)
    world.farm.jobs.resume(job.id)
    world.farm.jobs.resume(job.id)

    assert still == [Order.PAUSE]
    assert status(world, job) is JobStatus.RUNNING
    assert beat(world, grant, seq=2) == [Order.GO_ON]
    assert [kind for kind in kinds(world, job) if kind in ("job.paused", "job.resumed")] == [
        "job.paused",
        "job.resumed",
    ]


def test_resumed_job_waits_for_a_slot_and_no_node_gets_more_than_its_slots(
    world: FakeWorld,
) -> None:
    first, second = worst(world), worst(world)
    held = granted(world)
    world.farm.jobs.pause(first.id)
    other = granted(world)
    world.farm.jobs.resume(first.id)
    waits = beat(world, held, seq=1)
    complete(world, other)
    world.pass_farm_seconds(5)

    assert waits == [Order.PAUSE]
    assert status(world, second) is JobStatus.COMPLETED
    assert beat(world, held, seq=2) == [Order.GO_ON]


def test_stall_clock_stands_still_while_a_job_is_paused(world: FakeWorld) -> None:
    job = worst(world)
    grant = granted(world)
    beat(world, grant, seq=1)
    world.farm.jobs.pause(job.id)
    for seq in range(2, 14):
        world.pass_farm_seconds(30, step=10)
        world.farm.nodes.heartbeat(
            builders.beat("node-1", builders.progress_of(grant, mark="mark 1"), seq=seq)
        )
    world.farm.jobs.resume(job.id)
    beat(world, grant, seq=14)

    assert [one.outcome for one in attempts(world, job)] == [None]
    assert status(world, job) is JobStatus.RUNNING


def test_encode_that_ended_before_the_order_came_counts(world: FakeWorld) -> None:
    job = worst(world)
    grant = granted(world)
    world.farm.jobs.pause(job.id)
    complete(world, grant)

    assert status(world, job) is JobStatus.COMPLETED


def test_paused_job_can_be_canceled(world: FakeWorld) -> None:
    job = worst(world)
    grant = granted(world)
    world.farm.jobs.pause(job.id)
    world.farm.jobs.cancel(job.id)

    assert status(world, job) is JobStatus.CANCELED
    assert beat(world, grant, seq=1) == [Order.CANCEL]


def test_paused_job_whose_node_is_lost_is_pending_again(world: FakeWorld) -> None:
    job = worst(world)
    grant = granted(world)
    beat(world, grant, seq=1)
    world.farm.jobs.pause(job.id)
    world.pass_farm_seconds(RULES.node_timeout_seconds + 5)

    assert status(world, job) is JobStatus.PENDING
    assert [one.pause for one in attempts(world, job)] == [None]


@pytest.mark.parametrize("when", ["pending", "committing", "completed"])
def test_job_that_does_not_run_cannot_be_paused_or_resumed(world: FakeWorld, when: str) -> None:
    job = worst(world)
    if when != "pending":
        grant = granted(world)
        (commit if when == "committing" else complete)(world, grant)

    with pytest.raises(JobStateConflict, match=f"{when} cannot be paused"):
        world.farm.jobs.pause(job.id)
    with pytest.raises(JobStateConflict, match=f"{when} cannot be paused or resumed"):
        world.farm.jobs.resume(job.id)


def test_stream_cannot_be_paused(world: FakeWorld) -> None:
    job = submit(world, is_stream=True)
    granted(world)

    with pytest.raises(JobStateConflict, match="a stream cannot be paused"):
        world.farm.jobs.pause(job.id)


def test_job_in_a_reserved_slot_gets_that_slot_back_after_a_pause(store: Store) -> None:
    world = FakeWorld.over(store, RULES)
    world.farm.nodes.register(builders.registration(slots=2, reserve_live=1))
    live, other = best(world), worst(world)
    granted(world, is_reserved=True)
    granted(world)
    world.farm.jobs.pause(live.id)
    worse = submit(world, queue=Queue.LIVE, priority=Priority.LOW)

    resumed = world.farm.jobs.resume(live.id)

    assert resumed.status is JobStatus.RUNNING
    assert claim(world, is_reserved=True) is None
    assert (status(world, other), status(world, worse)) == (JobStatus.RUNNING, JobStatus.PENDING)


def test_finished_work_of_a_paused_job_survives_its_agents_restart(world: FakeWorld) -> None:
    job = submit(world)
    held = granted(world)
    world.farm.jobs.pause(job.id)
    again = builders.registration(slots=1, holding=frozenset({(job.id, 1)}))

    registered = world.farm.nodes.register(again)

    assert registered.refused == []
    complete(world, held)
    assert status(world, job) is JobStatus.COMPLETED


def test_nothing_of_a_paused_queue_starts_and_what_runs_goes_on(world: FakeWorld) -> None:
    running = worst(world)
    grant = granted(world)
    world.farm.queues.pause(Queue.BATCH, reason="moving the archive")
    world.farm.queues.pause(Queue.BATCH, reason="moving the archive")
    waiting = worst(world)
    complete(world, grant)

    assert status(world, running) is JobStatus.COMPLETED
    assert claim(world) is None
    assert "the batch queue is paused" in (world.farm.explain.waiting_reason(waiting) or "")
    world.farm.queues.resume(Queue.BATCH)
    assert granted(world).job.id == waiting.id


def test_paused_queue_is_not_rung_and_a_resumed_one_is_at_once(world: FakeWorld) -> None:
    world.farm.queues.pause(Queue.BATCH, reason=None)
    worst(world)
    world.bell.hints.clear()
    world.farm.reconciler.run_once()
    quiet = list(world.bell.hints)
    world.farm.queues.resume(Queue.BATCH)

    assert quiet == []
    assert [hint.queue_name for hint in world.bell.hints] == ["batch"]
