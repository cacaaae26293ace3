"""Attempts that stand still: the orders, their clock, and what heartbeats say."""

import time
from collections.abc import Sequence

import pytest

from ffrtmp.domain.attempt import Order
from ffrtmp.schemas import AttemptOrder
from tests.unit import agent_parts
from tests.unit.agent_parts import LEASE, Node
from tests.waiting import wait_until
from workers.ledger import Held, Progress, StopReason
from workers.suspension import Suspension

node = agent_parts.node


class Standing:
    """A process of which only the standing still matters, and who was told of it."""

    def __init__(self, suspension: Suspension) -> None:
        self.suspension = suspension
        self.said: list[str] = []
        suspension.listen(lambda is_on: self.said.append("gone" if is_on else "back"))

    def suspend(self) -> None:
        self.said.append("suspended")

    def resume(self) -> None:
        self.said.append("resumed")


def started() -> tuple[Held, Standing]:
    held = Held(job_id="job-1", number=1, lease=LEASE)
    process = Standing(held.suspension)
    held.suspension.attach(process)
    return held, process


def obey(node: Node, held: Held, *orders: Order) -> None:
    node.ledger.admit(held)
    node.master.answers["heartbeat"] = [
        [AttemptOrder(job_id="job-1", attempt=1, order=order)] for order in orders
    ]
    heart = node.heart()
    assert all(heart.beat() for _ in orders)


def said_by(node: Node) -> Sequence[str]:
    return [attempt.phase for body in node.master.said("heartbeat") for attempt in body.attempts]


def test_order_between_two_processes_waits_for_the_next_one() -> None:
    held, first = started()
    held.suspension.detach()

    held.suspension.pause()
    assert (first.said, held.suspension.is_on) == ([], False)

    second = Standing(held.suspension)
    held.suspension.attach(second)
    assert (second.said, held.suspension.is_on) == (["suspended", "gone"], True)


def test_process_that_ends_while_it_stands_still_gives_its_slot_back_once() -> None:
    held, process = started()
    held.suspension.pause()

    held.suspension.detach()

    assert (process.said, held.suspension.is_on) == (["suspended", "gone", "back"], False)


def test_slot_is_left_after_the_process_stands_still_and_taken_before_it_goes_on() -> None:
    held, process = started()

    held.suspension.pause()
    held.suspension.go_on()

    assert process.said == ["suspended", "gone", "back", "resumed"]


def test_orders_that_are_said_again_change_nothing(node: Node) -> None:
    held, process = started()

    obey(node.registered(), held, Order.GO_ON, Order.PAUSE, Order.PAUSE)
    assert process.said == ["suspended", "gone"]
    obey(node, held, Order.GO_ON, Order.GO_ON)

    assert process.said == ["suspended", "gone", "back", "resumed"]


def test_paused_attempt_says_so_in_heartbeats_and_keeps_its_lease(node: Node) -> None:
    held, _ = started()
    held.progress = Progress(phase="encoding", mark="encoding 5", fraction=0.5)

    obey(node.registered(), held, Order.PAUSE, Order.GO_ON, Order.GO_ON)

    assert said_by(node) == ["encoding", "paused", "encoding"]
    assert held.lease_until > 0


def test_order_to_pause_that_comes_early_takes_effect_when_the_process_starts() -> None:
    held = Held(job_id="job-1", number=1, lease=LEASE)
    process = Standing(held.suspension)

    held.suspension.pause()
    assert not held.suspension.is_on
    held.suspension.attach(process)

    assert held.suspension.is_on
    assert process.said == ["suspended", "gone"]


def test_early_order_that_is_taken_back_has_no_effect() -> None:
    held = Held(job_id="job-1", number=1, lease=LEASE)
    process = Standing(held.suspension)

    held.suspension.pause()
    held.suspension.go_on()
    held.suspension.attach(process)

    assert process.said == []


def test_attempt_past_its_process_is_not_paused() -> None:
    held, process = started()
    held.suspension.end()

    held.suspension.pause()

    assert process.said == []
    assert held.beat(1).phase != "paused"


@pytest.mark.parametrize("reason", list(StopReason))
def test_order_to_end_a_paused_attempt_takes_its_slot_again_before_it_is_ended(
    reason: StopReason,
) -> None:
    held, process = started()
    held.on_stop(lambda: process.said.append("stopped"))
    held.suspension.pause()

    held.stop(reason)
    held.suspension.pause()

    assert process.said == ["suspended", "gone", "back", "resumed", "stopped"]


def test_process_that_ends_while_suspended_has_its_slot_again() -> None:
    held, process = started()
    held.suspension.pause()

    held.suspension.end()

    assert process.said == ["suspended", "gone", "back", "resumed"]


def test_clock_of_an_attempt_stands_still_with_it() -> None:
    held, _ = started()
    held.suspension.pause()
    at = held.suspension.clock()
    paused_at = time.monotonic()

    wait_until(lambda: time.monotonic() > paused_at + 0.1)

    assert held.suspension.clock() == at
    held.suspension.go_on()
    assert held.suspension.clock() - at < 0.05


def test_limit_of_its_own_does_not_run_while_an_attempt_is_paused() -> None:
    held, _ = started()
    held.progress = Progress(
        phase="encoding", mark="encoding", ends_by=held.suspension.clock() + 0.1
    )
    held.suspension.pause()
    paused_at = time.monotonic()

    wait_until(lambda: time.monotonic() > paused_at + 0.2)
    assert not held.is_overdue(after_seconds=0)
    held.suspension.go_on()
    assert not held.is_overdue(after_seconds=0)

    wait_until(lambda: held.is_overdue(after_seconds=0), seconds=5)


def test_order_to_end_is_overdue_by_the_wall() -> None:
    held, _ = started()
    held.suspension.pause()
    held.stop(StopReason.CANCELED)

    assert not held.is_overdue(after_seconds=60)
    wait_until(lambda: held.is_overdue(after_seconds=0.05), seconds=5)
