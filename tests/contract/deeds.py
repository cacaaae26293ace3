"""What nodes and clients do, in one line each."""

import itertools
from typing import Any

from ffrtmp.domain.attempt import Attempt, Order
from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.attempts import Grant
from tests import builders
from tests.fakes import FakeWorld

_claims = itertools.count(1)


def submit(world: FakeWorld, **asked: Any) -> Job:
    (job,) = world.farm.jobs.submit([builders.request(**asked)])
    return job


def claim(
    world: FakeWorld,
    node_id: str = "node-1",
    device: str = CPU_DEVICE,
    *,
    is_reserved: bool = False,
) -> Grant | None:
    """A new question of a node's first process."""
    name = f"claim-{next(_claims):016d}"
    asked = builders.claim(node_id, name, device=device, is_reserved=is_reserved)
    return world.farm.attempts.claim(asked)


def granted(
    world: FakeWorld,
    node_id: str = "node-1",
    device: str = CPU_DEVICE,
    *,
    is_reserved: bool = False,
) -> Grant:
    grant = claim(world, node_id, device, is_reserved=is_reserved)
    assert grant is not None
    return grant


def commit(world: FakeWorld, grant: Grant) -> None:
    world.farm.attempts.commit(
        grant.job.id,
        grant.attempt.number,
        node_id=grant.attempt.node_id,
        lease=grant.attempt.lease,
        size=7,
        sha256=builders.SHA_A,
    )


def complete(world: FakeWorld, grant: Grant) -> None:
    commit(world, grant)
    world.farm.attempts.report(builders.completed(grant))


def fail(world: FakeWorld, grant: Grant, failure: FailureClass = FailureClass.HARDWARE) -> Job:
    return world.farm.attempts.report(builders.failed(grant, failure))


def beat(world: FakeWorld, *held: Grant, seq: int, node_id: str = "node-1") -> list[Order]:
    """The orders that a heartbeat listing these is answered."""
    said = [builders.progress_of(grant, mark=f"mark {seq}") for grant in held]
    answer = world.farm.nodes.heartbeat(builders.beat(node_id, *said, seq=seq))
    return [order for _, order in answer.orders]


def attempts(world: FakeWorld, job: Job) -> list[Attempt]:
    return list(world.farm.jobs.attempts(job.id))


def after_retry_wait(world: FakeWorld) -> None:
    """Every retry is due, and still left to others."""
    world.clock.pass_seconds(3)


def kinds(world: FakeWorld, job: Job) -> list[str]:
    return [event.kind.value for event in world.farm.jobs.events(job.id)]


def worst(world: FakeWorld) -> Job:
    return submit(world, queue=Queue.BATCH, priority=Priority.LOW)


def best(world: FakeWorld) -> Job:
    return submit(world, queue=Queue.LIVE, priority=Priority.HIGH)


def rank(world: FakeWorld, job: Job) -> int:
    return world.farm.jobs.get(job.id).rank


def status(world: FakeWorld, job: Job) -> JobStatus:
    return world.farm.jobs.get(job.id).status
