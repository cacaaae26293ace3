"""How waiting raises a job, on both databases."""

from dataclasses import replace

import pytest

from ffrtmp.domain.media import Hardware
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.store.engine import Store
from tests import builders
from tests.contract.conftest import RULES
from tests.contract.deeds import (
    beat,
    best,
    granted,
    kinds,
    rank,
    submit,
    worst,
)
from tests.fakes import FakeWorld

MAX_WAIT = 80.0


@pytest.fixture
def world(store: Store) -> FakeWorld:
    world = FakeWorld.over(store, RULES)
    world.farm.nodes.register(builders.registration(slots=1))
    return world


@pytest.fixture
def ageing(store: Store) -> FakeWorld:
    world = FakeWorld.over(store, replace(RULES, max_wait_seconds=MAX_WAIT))
    world.farm.nodes.register(builders.registration(slots=1))
    return world


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


def test_old_jobs_that_no_slot_here_can_run_keep_nobody_from_being_raised(
    ageing: FakeWorld,
) -> None:
    low = {"queue": Queue.BATCH, "priority": Priority.LOW}
    foreign = builders.request(hardware=Hardware.NVENC, **low)  # type: ignore[arg-type]
    ageing.farm.jobs.submit([foreign] * 600)
    job = worst(ageing)
    ageing.pass_farm_seconds(MAX_WAIT / 4)

    assert rank(ageing, job) == 6


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
