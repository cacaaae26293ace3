"""How many jobs may wait, on both databases."""

from dataclasses import replace

import pytest

from ffrtmp.domain.errors import IdempotencyMismatch, QueueFull
from ffrtmp.services.jobs import Idempotency
from ffrtmp.store.engine import Store
from tests.builders import request
from tests.contract.conftest import RULES
from tests.fakes import FakeWorld

COUNT_AGAIN_SECONDS = 11


@pytest.fixture
def world(store: Store) -> FakeWorld:
    """A farm for five pending jobs, three of each owner."""
    return FakeWorld.over(store, replace(RULES, max_pending=5, max_pending_per_owner=3))


def submit(world: FakeWorld, owner: str, number: int = 1) -> list[str]:
    jobs = world.farm.jobs.submit([request()] * number, owner=owner)
    return [job.id for job in jobs]


def test_owner_has_room_for_the_limit_and_a_submit_beyond_stores_nothing(
    world: FakeWorld,
) -> None:
    submit(world, "a", 2)
    with pytest.raises(QueueFull, match="2 jobs of this key wait already, at most 3 may; 2 more"):
        submit(world, "a", 2)
    submit(world, "a")

    with pytest.raises(QueueFull) as refused:
        submit(world, "a")

    assert refused.value.retry_after_seconds > 0
    assert world.farm.counts.run_once()["jobs"]["pending"] == 3


def test_one_owner_leaves_the_others_their_room(world: FakeWorld) -> None:
    submit(world, "a", 3)

    assert len(submit(world, "b", 2)) == 2


def test_farm_has_room_for_its_limit_whoever_asks(world: FakeWorld) -> None:
    submit(world, "a", 3)
    submit(world, "b", 2)

    with pytest.raises(QueueFull, match="of all keys together"):
        submit(world, "c")


def test_job_that_leaves_makes_room(world: FakeWorld) -> None:
    first, *_ = submit(world, "a", 3)
    world.farm.jobs.cancel(first)
    world.clock.pass_seconds(1)

    assert submit(world, "a")


def test_room_that_another_process_took_is_seen(world: FakeWorld) -> None:
    submit(world, "a")
    other = FakeWorld.over(world.farm.store, world.farm.context.policy)
    for _ in range(10):
        other.farm.context.new_id()  # ids that the first has used
    submit(other, "a", 2)
    world.clock.pass_seconds(COUNT_AGAIN_SECONDS)

    with pytest.raises(QueueFull):
        submit(world, "a")


def test_repeat_of_a_submit_is_answered_also_where_there_is_no_room(world: FakeWorld) -> None:
    promise = Idempotency(key="once", body_sha256="a" * 64)
    first = world.farm.jobs.submit([request()] * 3, owner="a", idempotency=promise)

    again = world.farm.jobs.submit([request()] * 3, owner="a", idempotency=promise)

    assert [job.id for job in again] == [job.id for job in first]
    with pytest.raises(IdempotencyMismatch):
        world.farm.jobs.submit(
            [request()], owner="a", idempotency=replace(promise, body_sha256="b" * 64)
        )
