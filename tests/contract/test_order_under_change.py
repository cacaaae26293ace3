"""Ageing, pauses and room for live jobs, on both databases."""

from dataclasses import replace

import pytest

from ffrtmp.domain.attempt import Order, Outcome
from ffrtmp.domain.errors import JobStateConflict
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.store.engine import Store
from tests import builders
from tests.contract.conftest import RULES
from tests.contract.deeds import (
    attempts,
    beat,
    claim,
    commit,
    complete,
    fail,
    granted,
    kinds,
    submit,
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


@pytest.fixture
def ageing(store: Store) -> FakeWorld:
    world = FakeWorld.over(store, replace(RULES, max_wait_seconds=MAX_WAIT))
    world.farm.nodes.register(builders.registration(slots=1))
    return world


def worst(world: FakeWorld) -> Job:
    return submit(world, queue=Queue.BATCH, priority=Priority.LOW)


def best(world: FakeWorld) -> Job:
    return submit(world, queue=Queue.LIVE, priority=Priority.HIGH)


def rank(world: FakeWorld, job: Job) -> int:
    return world.farm.jobs.get(job.id).rank


def status(world: FakeWorld, job: Job) -> JobStatus:
    return world.farm.jobs.get(job.id).status


# ageing


def test_without_ageing_nothing_overtakes_a_better_rank_however_long_it_waits(
    world: FakeWorld,
) -> None:
    worst(world)
    world.pass_farm_seconds(10 * MAX_WAIT, step=10)
    beat(world, seq=1)
    live = best(world)

    assert granted(world).job.id == live.id


def test_waiting_raises_the_worst_job_rank_by_rank_until_it_is_first(ageing: FakeWorld) -> None:
    job = worst(ageing)
    ranks = []
    for _ in range(9):
        ageing.pass_farm_seconds(MAX_WAIT / 8)
        ranks.append(rank(ageing, job))
    beat(ageing, seq=1)
    best(ageing)

    assert ranks == [7, 6, 5, 4, 3, 2, 1, 0, 0]
    assert granted(ageing).job.id == job.id
    assert kinds(ageing, job).count("job.raised") == 8


def test_outage_of_the_farm_raises_nobody(ageing: FakeWorld) -> None:
    job = worst(ageing)
    ageing.clock.pass_seconds(100 * MAX_WAIT)
    ageing.farm.reconciler.run_once()

    assert rank(ageing, job) == 8


def test_job_that_was_lowered_waits_anew(ageing: FakeWorld) -> None:
    job = submit(ageing, queue=Queue.BATCH, priority=Priority.MEDIUM)
    ageing.pass_farm_seconds(MAX_WAIT / 2)
    raised = rank(ageing, job)
    ageing.farm.jobs.reprioritize(job.id, queue=None, priority=Priority.LOW)

    assert raised == 3
    assert rank(ageing, job) == 8
    ageing.pass_farm_seconds(MAX_WAIT / 8)
    assert rank(ageing, job) == 7


def test_job_that_was_raised_keeps_what_waiting_has_earned_it(ageing: FakeWorld) -> None:
    job = worst(ageing)
    ageing.pass_farm_seconds(MAX_WAIT * 7 / 8)
    ageing.farm.jobs.reprioritize(job.id, queue=Queue.DEFAULT, priority=Priority.HIGH)

    assert rank(ageing, job) == 1


# pauses


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


# queues


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


# room for live jobs


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


def test_finished_work_of_a_paused_job_survives_its_agents_restart(world: FakeWorld) -> None:
    job = submit(world)
    held = granted(world)
    world.farm.jobs.pause(job.id)
    again = builders.registration(slots=1, holding=frozenset({(job.id, 1)}))

    registered = world.farm.nodes.register(again)

    assert registered.refused == []
    complete(world, held)
    assert status(world, job) is JobStatus.COMPLETED
