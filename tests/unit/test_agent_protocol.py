"""What the agent says to the master, and what it makes of the answers."""

import pytest

from ffrtmp.client import ClientError, MasterRefused, MasterUnavailable
from ffrtmp.domain.attempt import Order
from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.schemas import (
    AttemptOrder,
)
from tests.unit import agent_parts
from tests.unit.agent_parts import AWAY, LEASE, STALE_EPOCH, Node
from tests.unit.test_agent_files import claim_of
from workers.errors import AddressTaken, AgentError, KeyRefused
from workers.intake import Intake, Listeners
from workers.ledger import Held, StopReason
from workers.poller import Poller
from workers.pools import Pool
from workers.slots import Slot, Slots

ON_CPU = Slot(device=CPU_DEVICE)
node = agent_parts.node


def test_claim_keeps_its_id_until_the_master_answers(node: Node) -> None:
    node.registered().master.answers["claim"] = [AWAY, MasterUnavailable(503, "x", "x"), claim_of()]

    taken = node.claims().take(ON_CPU, "hinted")

    assert taken is not None
    ids = {body.claim_id for body in node.master.said("claim")}
    assert len(ids) == 1
    assert node.ledger.attempts() == (taken[1],)
    assert node.ledger.build_heartbeat().claims_in_flight == ()


def test_claim_without_work_leaves_nothing_behind(node: Node) -> None:
    assert node.registered().claims().take(ON_CPU) is None
    assert node.ledger.build_heartbeat().claims_in_flight == ()


def test_claim_of_a_stale_epoch_registers_again_and_asks_again(node: Node) -> None:
    node.registered().master.answers["claim"] = [STALE_EPOCH, claim_of()]

    assert node.claims().take(ON_CPU) is not None

    assert [body.epoch for body in node.master.said("claim")] == [1, 2]


def test_claim_of_a_node_that_is_not_accepted_is_dropped_and_told(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.claims.REFUSED_PAUSE_SECONDS", 0.0)
    told: list[bool] = []
    node.registered().master.answers["claim"] = [MasterRefused(409, "node_not_accepting", "x")]

    assert node.claims(on_nothing=lambda: told.append(True)).take(ON_CPU) is None

    assert told == [True]


def test_claim_gives_up_when_the_agent_stops(node: Node) -> None:
    node.registered().master.answers["claim"] = [AWAY] * 100
    node.stop.set()

    assert node.claims().take(ON_CPU) is None


def test_registration_repeats_until_the_master_is_there(node: Node) -> None:
    node.master.answers["register"] = [AWAY]

    assert node.registered().registrar.session.epoch == 1


@pytest.mark.parametrize(
    ("refused", "meaning"),
    [
        (MasterRefused(409, "address_taken", "Node with address X is registered"), AddressTaken),
        (MasterRefused(401, "unauthenticated", "no"), KeyRefused),
        (MasterRefused(422, "invalid", "no"), AgentError),
    ],
)
def test_refused_registration_ends_the_agent_in_the_masters_words(
    node: Node, refused: MasterRefused, meaning: type[AgentError]
) -> None:
    node.master.answers["register"] = [refused]

    with pytest.raises(meaning, match=refused.message):
        node.registrar.register(node.stop)


def test_registration_names_the_epoch_it_follows(node: Node) -> None:
    node.registered().registrar.renew(1)

    assert [body.known_epoch for body in node.master.said("register")] == [0, 1]


def test_registration_that_another_overtook_is_said_again_for_the_epoch_after_it(
    node: Node,
) -> None:
    node.master.epoch = 4
    node.master.answers["register"] = [STALE_EPOCH]

    assert node.registered().registrar.session.epoch == 5
    first, second = node.master.said("register")
    assert first.registration_id == second.registration_id


def test_only_one_of_many_threads_registers_again(node: Node) -> None:
    node.registered()

    epochs = [node.registrar.renew(1).epoch for _ in range(3)]

    assert epochs == [2, 2, 2]
    assert len(node.master.said("register")) == 2


def test_heartbeat_stops_what_is_canceled_and_lets_the_rest_go_on(node: Node) -> None:
    held = [Held(job_id="job-1", number=n, lease=LEASE) for n in (1, 2, 3)]
    for one in held:
        node.ledger.admit(one)
    orders = zip(held, (Order.CANCEL, Order.GONE, Order.GO_ON), strict=True)
    node.registered().master.answers["heartbeat"] = [
        [AttemptOrder(job_id="job-1", attempt=one.number, order=order) for one, order in orders]
    ]

    assert node.heart().beat()

    reasons = [one.stop_reason for one in held]
    assert reasons == [StopReason.CANCELED, StopReason.GONE, None]


def test_every_built_heartbeat_counts_even_without_an_answer(node: Node) -> None:
    node.registered().master.answers["heartbeat"] = [AWAY]
    heart = node.heart()

    assert [heart.beat(), heart.beat()] == [False, True]

    assert [body.seq for body in node.master.said("heartbeat")] == [1, 2]


@pytest.mark.parametrize(
    "refused", [STALE_EPOCH, MasterRefused(404, "not_found", "x"), MasterRefused(401, "x", "x")]
)
def test_heartbeat_of_a_forgotten_process_registers_again(
    node: Node, refused: MasterRefused
) -> None:
    node.registered().master.answers["heartbeat"] = [refused]

    assert not node.heart().beat()

    assert node.registrar.session.epoch == 2


def intake_of(node: Node, slots: Slots, *, has_room: bool = True) -> Intake:
    return Intake(
        slots=slots,
        claims=node.claims(),
        run=lambda _claim, held: node.ledger.remove(held),
        has_room=lambda: has_room,
        closing=node.stop,
        listeners=Listeners(
            on_change=lambda: None, on_free_slot=lambda _: None, on_hint=lambda _: None
        ),
    )


def test_hint_whose_sender_is_gone_claims_nothing(node: Node) -> None:
    intake_of(node.registered(), Slots({CPU_DEVICE: 1})).take_hint(
        Pool.CPU, "job-1", is_wanted=lambda: False
    )

    assert node.master.said("claim") == []


def test_slot_is_free_again_after_each_hint(node: Node) -> None:
    slots = Slots({CPU_DEVICE: 1})
    node.registered().master.answers["claim"] = [claim_of(), None, ClientError("x")]
    intake = intake_of(node, slots)

    for _ in range(3):
        intake.take_hint(Pool.CPU, "job-1", is_wanted=lambda: True)

    assert slots.free == 1
    assert len(node.master.said("claim")) == 4


def test_node_without_room_on_its_disk_claims_nothing(node: Node) -> None:
    intake = intake_of(node.registered(), Slots({CPU_DEVICE: 1}), has_room=False)

    assert not intake.start_unasked(Pool.CPU)
    assert node.master.said("claim") == []


def test_poller_stays_quiet_while_hints_arrive() -> None:
    hints, work = [True, False, False, False], [True, True, False]
    poller = Poller(
        [Pool.CPU],
        interval_seconds=1,
        hints_arrive=lambda _: hints.pop(0),
        start_attempt=lambda _: work.pop(0),
    )

    assert [poller.run_pass(), poller.run_pass()] == [0, 2]
