"""Batch attempts that make room for live jobs, on both databases."""

from dataclasses import replace

import pytest

from ffrtmp.domain.attempt import Order, Outcome
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.services.jobs import JobService
from ffrtmp.services.pauses import Pauses
from ffrtmp.services.preemption import Preemption
from ffrtmp.store.engine import Store
from tests import builders
from tests.contract.conftest import RULES
from tests.contract.deeds import (
    attempts,
    beat,
    best,
    claim,
    complete,
    fail,
    granted,
    rank,
    status,
    submit,
    worst,
)
from tests.fakes import FakeWorld

MAX_WAIT = 80.0


@pytest.fixture
def rules() -> FarmPolicy:
    return replace(RULES, preempts_batch=True)


@pytest.fixture
def world(store: Store, rules: FarmPolicy) -> FakeWorld:
    world = FakeWorld.over(store, rules)
    world.farm.nodes.register(builders.registration(slots=1))
    return world


def test_live_job_that_finds_every_slot_busy_suspends_a_local_cpu_encode(world: FakeWorld) -> None:
    batch = worst(world)
    held = granted(world)
    live = best(world)

    assert status(world, batch) is JobStatus.PAUSED
    assert world.bell.nudged == ["node-1"]
    assert beat(world, held, seq=1) == [Order.PAUSE]
    assert granted(world).job.id == live.id


def test_suspended_job_goes_on_when_the_live_one_has_ended_and_spends_nothing(
    world: FakeWorld,
) -> None:
    batch = worst(world)
    held = granted(world)
    best(world)
    complete(world, granted(world))
    later = worst(world)

    assert claim(world) is None
    assert beat(world, held, seq=1) == [Order.GO_ON]
    assert (status(world, batch), status(world, later)) == (JobStatus.RUNNING, JobStatus.PENDING)
    complete(world, held)
    assert world.farm.jobs.get(batch.id).failures == 0


def test_better_job_than_the_suspended_one_goes_first(world: FakeWorld) -> None:
    worst(world)
    granted(world)
    best(world)
    complete(world, granted(world))
    better = submit(world, queue=Queue.BATCH, priority=Priority.HIGH)

    assert granted(world).job.id == better.id


def test_suspended_job_goes_on_where_nobody_claims_because_its_node_is_drained(
    world: FakeWorld,
) -> None:
    batch = worst(world)
    granted(world)
    best(world)
    live = granted(world)
    world.farm.nodes.drain("node-1", reason="upgrade")
    complete(world, live)
    worst(world)
    world.pass_farm_seconds(5)

    assert status(world, batch) is JobStatus.RUNNING


def test_encode_of_a_remote_input_goes_back_to_the_queue_without_spending_a_retry(
    world: FakeWorld,
) -> None:
    request = replace(
        builders.request(queue=Queue.BATCH),
        spec=builders.spec(input="https://example.com/clip.mp4"),
    )
    (batch,) = world.farm.jobs.submit([request])
    held = granted(world)
    live = best(world)

    assert status(world, batch) is JobStatus.PENDING
    assert beat(world, held, seq=1) == [Order.GONE]
    assert [(a.outcome, a.failure_class) for a in attempts(world, batch)] == [
        (Outcome.PREEMPTED, None)
    ]
    assert world.farm.jobs.get(batch.id).failures == 0
    assert granted(world).job.id == live.id


def test_gpu_encode_is_never_suspended_but_requeued(world: FakeWorld) -> None:
    world.farm.nodes.remove("node-1")
    node = builders.registration("node-1", devices=(builders.cpu(slots=0), builders.gpu()))
    world.farm.nodes.register(node)
    batch = worst(world)
    granted(world, device="gpu0")
    best(world)

    assert status(world, batch) is JobStatus.PENDING


def test_one_live_job_takes_one_slot_however_often_it_is_looked_at(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-2", slots=2))
    held = [worst(world) for _ in range(3)]
    granted(world)
    granted(world, "node-2")
    granted(world, "node-2")
    best(world)
    for _ in range(3):
        world.farm.reconciler.run_once()

    assert [status(world, job) for job in held].count(JobStatus.PAUSED) == 1


def test_two_live_jobs_take_two_slots(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-2", slots=1))
    held = [worst(world) for _ in range(2)]
    granted(world)
    granted(world, "node-2")
    best(world)
    best(world)

    assert [status(world, job) for job in held] == [JobStatus.PAUSED] * 2


def test_better_live_job_that_comes_later_takes_a_slot_of_its_own(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-2", slots=1))
    held = [worst(world) for _ in range(2)]
    granted(world)
    granted(world, "node-2")
    submit(world, queue=Queue.LIVE, priority=Priority.LOW)
    best(world)

    assert [status(world, job) for job in held] == [JobStatus.PAUSED] * 2


def test_two_who_make_room_for_one_live_job_at_once_take_one_slot(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-2", slots=1))
    held = [worst(world) for _ in range(2)]
    granted(world)
    granted(world, "node-2")
    context = world.farm.context
    one, other = (Preemption(context, Pauses(context)) for _ in range(2))
    JobService(replace(context, policy=RULES)).submit([builders.request(queue=Queue.LIVE)])
    (first,), (second,) = one._plan(), other._plan()
    with world.farm.store.read() as tx:
        running = tx.attempts.preemptable(limit=9)
    (unlike,) = [each for each in running if each != first.victim]
    made = [one._make_room(first), other._make_room(replace(second, victim=unlike))]

    assert made == [True, False]
    assert [status(world, job) for job in held].count(JobStatus.PAUSED) == 1


def test_slot_of_a_worse_job_is_taken_before_that_of_a_better_one(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-2", slots=1))
    better = submit(world, queue=Queue.BATCH, priority=Priority.HIGH)
    worse = worst(world)
    granted(world)
    granted(world, "node-2")
    best(world)

    assert (status(world, better), status(world, worse)) == (JobStatus.RUNNING, JobStatus.PAUSED)


def test_live_job_with_a_free_slot_elsewhere_takes_none(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-2", slots=1))
    batch = worst(world)
    granted(world)
    best(world)

    assert status(world, batch) is JobStatus.RUNNING


@pytest.mark.parametrize("queue", [Queue.DEFAULT, Queue.LIVE])
def test_jobs_of_other_queues_never_make_room(world: FakeWorld, queue: Queue) -> None:
    other = submit(world, queue=queue)
    granted(world)
    best(world)

    assert status(world, other) is JobStatus.RUNNING


def test_stream_of_the_batch_queue_never_makes_room(world: FakeWorld) -> None:
    stream = submit(world, queue=Queue.BATCH, is_stream=True)
    granted(world)
    best(world)

    assert status(world, stream) is JobStatus.RUNNING


@pytest.mark.parametrize("rules", [RULES])
def test_without_the_policy_nobody_makes_room(world: FakeWorld) -> None:
    batch = worst(world)
    granted(world)
    best(world)
    world.farm.reconciler.run_once()

    assert status(world, batch) is JobStatus.RUNNING


def test_no_more_encodes_are_suspended_on_a_device_than_it_has_slots(world: FakeWorld) -> None:
    first, second = worst(world), worst(world)
    granted(world)
    best(world)
    complete(world, granted(world))
    world.farm.jobs.reprioritize(second.id, queue=None, priority=Priority.HIGH)
    granted(world)
    best(world)

    assert (status(world, first), status(world, second)) == (JobStatus.PAUSED, JobStatus.PENDING)


@pytest.mark.parametrize("is_local", [True, False])
def test_batch_job_that_waiting_has_put_first_makes_no_room(store: Store, is_local: bool) -> None:
    rules = replace(RULES, preempts_batch=True, max_wait_seconds=MAX_WAIT)
    world = FakeWorld.over(store, rules)
    asked = builders.request(queue=Queue.BATCH, priority=Priority.LOW)
    spec = asked.spec if is_local else {**asked.spec, "input": "https://example.com/in.mp4"}
    (old,) = world.farm.jobs.submit([replace(asked, spec=spec)])
    world.pass_farm_seconds(MAX_WAIT + 20)
    world.farm.nodes.register(builders.registration(slots=1))
    granted(world)

    best(world)

    assert rank(world, old) == 0
    assert status(world, old) is JobStatus.RUNNING


def test_suspended_attempt_waits_for_no_job_that_its_set_aside_gpu_may_not_take(
    store: Store,
) -> None:
    world = FakeWorld.over(store, replace(RULES, set_aside_after=1))
    devices = (builders.cpu(), builders.gpu(slots=1))
    world.farm.nodes.register(builders.registration(devices=devices))
    paused = submit(world, hardware=Hardware.GPU)
    held = granted(world, device="gpu0")
    world.farm.jobs.pause(paused.id)
    submit(world, hardware=Hardware.GPU)
    failing = granted(world, device="gpu0")
    world.farm.jobs.resume(paused.id)
    submit(world, hardware=Hardware.GPU, queue=Queue.LIVE)
    fail(world, failing)
    beat(world, held, seq=1)

    assert list(world.farm.nodes.get("node-1").node.set_aside) == ["gpu0"]
    world.farm.reconciler.run_once()
    assert status(world, paused) is JobStatus.RUNNING
