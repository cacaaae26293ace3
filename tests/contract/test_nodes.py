"""Nodes: identity, epochs, heartbeats, drain, on both databases."""

import threading

import pytest

from ffrtmp.domain.attempt import Order, Outcome
from ffrtmp.domain.errors import (
    AddressTaken,
    FarmFull,
    Forbidden,
    NodeHasWork,
    NotFound,
    StaleEpoch,
)
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.node import NodeStatus
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.services.attempts import Grant
from ffrtmp.store.engine import Store
from tests import builders
from tests.fakes import FakeWorld


def running(world: FakeWorld) -> Grant:
    world.farm.jobs.submit([builders.request()])
    world.farm.nodes.register(builders.registration())
    grant = world.farm.attempts.claim(builders.claim())
    assert grant is not None
    return grant


def order_of(world: FakeWorld, grant: Grant, *, seq: int = 1) -> Order:
    answer = world.farm.nodes.heartbeat(
        builders.beat("node-1", builders.progress_of(grant), seq=seq)
    )
    return answer.orders[0][1]


def test_second_identity_at_one_address_is_refused(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-1", address="10.0.0.1"))

    with pytest.raises(AddressTaken, match=r"Node with address 10\.0\.0\.1 is already registered"):
        world.farm.nodes.register(builders.registration("node-2", address="10.0.0.1"))


def test_same_identity_registering_again_is_the_same_node_at_a_higher_epoch(
    world: FakeWorld,
) -> None:
    first = world.farm.nodes.register(builders.registration())
    again = world.farm.nodes.register(builders.registration(slots=4))

    assert (first.is_new, again.is_new) == (True, False)
    assert again.view.node.epoch == first.view.node.epoch + 1
    assert (again.view.node.id, again.view.node.slots) == (first.view.node.id, 4)


def test_known_id_with_a_wrong_token_is_refused(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration())

    with pytest.raises(Forbidden):
        world.farm.nodes.register(builders.registration(token_hash="forged"))


def test_token_of_another_node_is_refused(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-1", token_hash="t"))

    with pytest.raises(Forbidden):
        world.farm.nodes.register(builders.registration("node-2", token_hash="t"))


def test_eight_agents_registering_one_address_at_once_make_one_node(world: FakeWorld) -> None:
    results: list[str] = []

    def register(number: int) -> None:
        try:
            world.farm.nodes.register(builders.registration(f"node-{number}", address="a"))
            results.append("made")
        except AddressTaken:
            results.append("refused")

    threads = [threading.Thread(target=register, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == ["made"] + ["refused"] * 7
    assert len(world.farm.nodes.list()) == 1


def test_restarted_agent_frees_what_it_does_not_name(world: FakeWorld) -> None:
    grant = running(world)

    world.farm.nodes.register(builders.registration())

    job = world.farm.jobs.get(grant.job.id)
    assert (job.status, job.failures) == (JobStatus.PENDING, 1)
    assert world.farm.jobs.attempts(job.id)[0].outcome is Outcome.NODE_LOST


def test_restarted_agent_keeps_what_it_names(world: FakeWorld) -> None:
    grant = running(world)
    held = frozenset({(grant.job.id, 1)})

    registered = world.farm.nodes.register(builders.registration(holding=held))

    assert registered.refused == []
    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


@pytest.mark.parametrize("known_epoch", [0, 2])
def test_registration_that_does_not_follow_the_present_epoch_is_refused_and_changes_nothing(
    world: FakeWorld, known_epoch: int
) -> None:
    grant = running(world)

    with pytest.raises(StaleEpoch):
        world.farm.nodes.register(builders.registration(known_epoch=known_epoch))

    assert world.farm.nodes.get("node-1").node.epoch == 1
    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


def test_registration_that_follows_the_present_epoch_begins_the_next(world: FakeWorld) -> None:
    epochs = [
        world.farm.nodes.register(builders.registration(known_epoch=known)).view.node.epoch
        for known in range(3)
    ]

    assert epochs == [1, 2, 3]


def test_registration_of_a_node_that_was_removed_meanwhile_is_refused(world: FakeWorld) -> None:
    with pytest.raises(StaleEpoch):
        world.farm.nodes.register(builders.registration(known_epoch=1))

    assert world.farm.nodes.list() == []


def test_named_attempt_that_is_not_its_own_any_more_is_refused_back(world: FakeWorld) -> None:
    grant = running(world)
    world.farm.jobs.cancel(grant.job.id)
    held = frozenset({(grant.job.id, 1)})

    assert world.farm.nodes.register(builders.registration(holding=held)).refused == [
        (grant.job.id, 1)
    ]


def test_named_attempt_whose_report_was_accepted_is_not_refused_back(world: FakeWorld) -> None:
    grant = running(world)
    world.farm.attempts.commit(
        grant.job.id,
        1,
        node_id="node-1",
        lease=grant.attempt.lease,
        size=7,
        sha256=builders.SHA_A,
    )
    world.farm.attempts.report(builders.completed(grant))
    held = frozenset({(grant.job.id, 1)})

    assert world.farm.nodes.register(builders.registration(holding=held)).refused == []


def test_heartbeat_of_an_earlier_epoch_is_refused(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration())
    world.farm.nodes.register(builders.registration())

    with pytest.raises(StaleEpoch):
        world.farm.nodes.heartbeat(builders.beat(epoch=1))


def test_heartbeat_keeps_progress_and_says_go_on(world: FakeWorld) -> None:
    grant = running(world)

    assert order_of(world, grant) is Order.GO_ON
    assert world.farm.jobs.get(grant.job.id).progress == 0.5


def test_heartbeat_of_a_canceled_attempt_says_cancel(world: FakeWorld) -> None:
    grant = running(world)
    world.farm.jobs.cancel(grant.job.id)

    assert order_of(world, grant) is Order.CANCEL


def test_heartbeat_of_a_lost_attempt_says_gone(world: FakeWorld) -> None:
    grant = running(world)
    world.pass_farm_seconds(80)

    assert order_of(world, grant) is Order.GONE


def test_attempt_is_lost_only_after_two_heartbeats_that_omit_it(world: FakeWorld) -> None:
    grant = running(world)
    order_of(world, grant, seq=1)

    world.farm.nodes.heartbeat(builders.beat(seq=2))
    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING
    world.farm.nodes.heartbeat(builders.beat(seq=3))
    job = world.farm.jobs.get(grant.job.id)
    assert (job.status, job.failures) == (JobStatus.PENDING, 1)


def test_claim_that_arrives_when_its_node_asks_no_more_spends_no_retry(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration())
    assert world.farm.attempts.claim(builders.claim(claim_id="asked")) is None
    (job,) = world.farm.jobs.submit([builders.request()])
    late = world.farm.attempts.claim(builders.claim(claim_id="asked"))
    assert late is not None

    for seq in (1, 2):
        world.farm.nodes.heartbeat(builders.beat(seq=seq))

    again = world.farm.jobs.get(job.id)
    assert (again.status, again.failures) == (JobStatus.PENDING, 0)
    assert world.farm.jobs.attempts(job.id)[0].outcome is Outcome.RELEASED


def test_attempt_whose_claim_is_still_in_flight_is_not_omitted(world: FakeWorld) -> None:
    grant = running(world)
    in_flight = frozenset({grant.attempt.claim_id})

    for seq in range(1, 5):
        world.farm.nodes.heartbeat(builders.beat(seq=seq, in_flight=in_flight))

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


def test_heartbeats_built_before_the_claim_do_not_count(world: FakeWorld) -> None:
    world.farm.jobs.submit([builders.request()])
    world.farm.nodes.register(builders.registration())
    grant = world.farm.attempts.claim(builders.claim(seq=3))
    assert grant is not None

    for seq in (1, 2, 3):
        world.farm.nodes.heartbeat(builders.beat(seq=seq))

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


def test_late_heartbeat_changes_nothing(world: FakeWorld) -> None:
    grant = running(world)
    order_of(world, grant, seq=5)
    for seq in (3, 4):
        world.farm.nodes.heartbeat(builders.beat(seq=seq))

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


def test_drained_node_is_told_so_and_undrained_takes_work_again(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration())
    world.farm.jobs.submit([builders.request()])

    view = world.farm.nodes.drain("node-1", reason="disk swap")
    assert view.node.status(slots_busy=0) is NodeStatus.DRAINING
    assert world.farm.nodes.heartbeat(builders.beat()).drain
    world.farm.nodes.undrain("node-1")
    assert world.farm.attempts.claim(builders.claim()) is not None


def test_busy_node_cannot_be_removed_and_an_idle_one_can(world: FakeWorld) -> None:
    grant = running(world)

    with pytest.raises(NodeHasWork):
        world.farm.nodes.remove("node-1")
    world.farm.attempts.report(builders.failed(grant))
    world.farm.nodes.remove("node-1")
    with pytest.raises(NotFound):
        world.farm.nodes.get("node-1")


def test_offline_node_is_back_with_its_next_heartbeat(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration())
    world.pass_farm_seconds(80)
    assert world.farm.nodes.get("node-1").node.is_offline

    world.farm.nodes.heartbeat(builders.beat())

    assert not world.farm.nodes.get("node-1").node.is_offline
    with world.farm.store.read() as tx:
        kinds = [event.kind for event in tx.events.after(0, limit=100)]
    assert kinds == [
        EventKind.NODE_REGISTERED,
        EventKind.NODE_OFFLINE,
        EventKind.NODE_ONLINE,
    ]


def test_node_beyond_the_room_of_the_farm_is_refused_and_known_ones_come_back(
    store: Store,
) -> None:
    world = FakeWorld.over(store, FarmPolicy(max_nodes=2))
    for name in ("node-1", "node-2"):
        world.farm.nodes.register(builders.registration(name))

    with pytest.raises(FarmFull, match="remove some"):
        world.farm.nodes.register(builders.registration("node-3"))
    world.farm.nodes.register(builders.registration("node-1"))
    world.farm.nodes.remove("node-2")
    world.farm.nodes.register(builders.registration("node-3"))

    assert {view.node.id for view in world.farm.nodes.list()} == {"node-1", "node-3"}
