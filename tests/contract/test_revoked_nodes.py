"""A node that was revoked is nobody, and its work is done elsewhere, on both databases."""

import pytest

from ffrtmp.domain.access import Refusal, hash_of
from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.errors import Forbidden, StaleLease, Unauthenticated
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.node import NodeStatus
from ffrtmp.services.attempts import Grant
from ffrtmp.store.events import EventFilter
from tests import builders
from tests.contract import deeds
from tests.fakes import FakeWorld

TOKEN = "the node's token"


def running(world: FakeWorld, *, is_stream: bool = False) -> Grant:
    deeds.submit(world, is_stream=is_stream)
    world.farm.nodes.register(builders.registration(token_hash=hash_of(TOKEN)))
    return deeds.granted(world)


def test_its_token_opens_nothing_and_what_is_on_the_way_is_refused(world: FakeWorld) -> None:
    grant = running(world)
    world.farm.nodes.revoke("node-1", by="ann")

    with pytest.raises(Unauthenticated) as refused:
        world.farm.access.identify(TOKEN, bootstrap=None)
    assert (refused.value.reason, refused.value.name) == (Refusal.REVOKED, "node-1")
    with pytest.raises(Unauthenticated):
        deeds.beat(world, grant, seq=1)
    with pytest.raises(Unauthenticated):
        deeds.claim(world)
    with pytest.raises(StaleLease):
        deeds.commit(world, grant)
    with pytest.raises(StaleLease):
        world.farm.attempts.report(builders.failed(grant))
    node = world.farm.nodes.get("node-1").node
    assert node.status(slots_busy=0) is NodeStatus.OFFLINE
    assert node.revoked_at == world.clock.moment


def test_its_job_is_pending_at_once_without_a_spent_retry_and_runs_elsewhere(
    world: FakeWorld,
) -> None:
    grant = running(world)
    world.farm.nodes.revoke("node-1", by="ann")
    job = world.farm.jobs.get(grant.job.id)
    assert (job.status, job.failures) == (JobStatus.PENDING, 0)

    world.farm.nodes.register(builders.registration("node-2"))
    deeds.complete(world, deeds.granted(world, "node-2"))

    assert deeds.status(world, job) is JobStatus.COMPLETED
    assert [one.outcome for one in deeds.attempts(world, job)] == [
        Outcome.RELEASED,
        Outcome.COMPLETED,
    ]


def test_file_it_committed_is_nobodys_to_adopt(world: FakeWorld) -> None:
    grant = running(world)
    deeds.commit(world, grant)
    world.farm.nodes.revoke("node-1", by="ann")

    world.farm.nodes.register(builders.registration("node-2"))
    assert deeds.granted(world, "node-2").committed_sha256 == []


def test_stream_it_may_still_publish_waits_for_the_end_of_its_lease(world: FakeWorld) -> None:
    running(world, is_stream=True)
    world.farm.nodes.register(builders.registration("node-2"))
    world.farm.nodes.revoke("node-1", by="ann")

    assert deeds.claim(world, "node-2") is None


def test_it_comes_back_with_its_token_only_once_it_was_removed(world: FakeWorld) -> None:
    said = builders.registration(token_hash=hash_of(TOKEN))
    world.farm.nodes.register(said)
    world.farm.nodes.revoke("node-1", by="ann")
    with pytest.raises(Forbidden, match="remove it"):
        world.farm.nodes.register(said)
    world.farm.nodes.undrain("node-1")
    with pytest.raises(Unauthenticated):
        world.farm.access.identify(TOKEN, bootstrap=None)

    world.farm.nodes.remove("node-1")
    assert world.farm.nodes.register(said).is_new


def test_revoking_twice_is_once_and_says_who_did_it(world: FakeWorld) -> None:
    running(world)
    for _ in range(2):
        world.farm.nodes.revoke("node-1", by="ann")

    (event,) = world.farm.history.page(EventFilter(kind=EventKind.NODE_REVOKED), limit=10)
    assert (event.node_id, event.data["by"]) == ("node-1", "ann")


def test_nodes_beside_it_go_on(world: FakeWorld) -> None:
    deeds.submit(world)
    world.farm.nodes.register(builders.registration("node-2"))
    grant = deeds.granted(world, "node-2")
    world.farm.nodes.register(builders.registration("node-1"))
    world.farm.nodes.revoke("node-1", by="ann")

    deeds.complete(world, grant)
    assert world.farm.nodes.get("node-2").node.accepts_work
