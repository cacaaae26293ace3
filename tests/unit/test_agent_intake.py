"""From slots to running attempts: GPUs, pauses, canaries."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import pytest

from ffrtmp.client import ClientError
from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.domain.media import Hardware
from ffrtmp.schemas import ClaimAnswer
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from tests.waiting import wait_until
from workers.intake import Intake, Listeners
from workers.ledger import Held, StopReason
from workers.poller import Poller
from workers.pools import Pool
from workers.slots import Slots
from workers.threads import start_thread

node = agent_parts.node
GPUS = {CPU_DEVICE: 1, "gpu0": 1, "gpu1": 1, "gpu2": 1}


class Process:
    """Something that can be suspended."""

    def suspend(self) -> None:
        """Nothing to do."""

    def resume(self) -> None:
        """Nothing to do."""


class Work:
    """An intake whose attempts run until they are let go or stopped."""

    def __init__(self, node: Node, counts: dict[str, int], **more: Any) -> None:
        self.node = node.registered()
        self.beats = self.free_slots = 0
        self.hints: list[bool] = []
        self.slots = Slots(counts, **more)
        self.running: list[Held] = []
        self.let_go = threading.Event()
        self.left_behind: threading.Thread | None = None
        self.intake = Intake(
            slots=self.slots,
            claims=node.claims(on_nothing=self._beat),
            run=self._run,
            has_room=lambda: True,
            closing=node.stop,
            listeners=Listeners(
                on_change=self._beat, on_free_slot=self._on_free_slot, on_hint=self.hints.append
            ),
        )

    def answer(self, *answers: ClaimAnswer | Exception | None) -> None:
        self.node.master.answers["claim"] = list(answers)

    def asked(self) -> list[tuple[str, bool]]:
        return [(body.device, body.is_reserved) for body in self.node.master.said("claim")]

    def hint(self, pool: Pool = Pool.CPU) -> threading.Thread:
        take = partial(self.intake.take_hint, pool, "job-1", is_wanted=lambda: True)
        return start_thread("hint", take)

    def started(self, pool: Pool = Pool.CPU, *, attempt: int = 1) -> Held:
        """An attempt that runs in a slot of the pool."""
        self.answer(claim_of(attempt=attempt))
        before = len(self.running)
        assert self.intake.start_unasked(pool)
        wait_until(lambda: len(self.running) > before)
        return self.running[-1]

    def _beat(self) -> None:
        self.beats += 1

    def _on_free_slot(self, _pool: Pool) -> None:
        self.free_slots += 1

    def _run(self, _claim: ClaimAnswer, held: Held) -> threading.Thread | None:
        stopped = threading.Event()
        held.on_stop(stopped.set)
        held.suspension.attach(Process())
        self.running.append(held)
        wait_until(lambda: stopped.is_set() or self.let_go.is_set())
        self.node.ledger.remove(held)
        return self.left_behind


@pytest.fixture
def work_on(node: Node) -> Iterator[Callable[..., Work]]:
    made: list[Work] = []

    def make(counts: dict[str, int], **more: Any) -> Work:
        made.append(Work(node, counts, **more))
        return made[-1]

    yield make
    for work in made:
        work.let_go.set()
        assert work.slots.wait_until_idle(timeout_seconds=10)


Make = Callable[..., Work]


def test_gpu_hint_that_gets_nothing_tries_each_other_gpu_once(work_on: Make) -> None:
    work = work_on(GPUS)

    work.hint(Pool.GPU).join(10)

    assert work.asked() == [("gpu0", False), ("gpu1", False), ("gpu2", False)]
    assert work.hints == [False]
    assert work.slots.busy == 0


def test_gpu_hint_stops_at_the_first_gpu_that_has_a_job(work_on: Make) -> None:
    work = work_on(GPUS)
    work.answer(None, claim_of())

    hint = work.hint(Pool.GPU)
    wait_until(lambda: work.running)

    assert work.asked() == [("gpu0", False), ("gpu1", False)]
    assert work.slots.busy == 1
    assert hint.is_alive()
    work.let_go.set()
    hint.join(10)
    assert not hint.is_alive()


def test_cpu_hint_that_gets_nothing_asks_once(work_on: Make) -> None:
    work = work_on(GPUS)

    work.hint().join(10)

    assert work.asked() == [(CPU_DEVICE, False)]


def test_claim_that_fails_gives_its_slot_back(work_on: Make) -> None:
    work = work_on(GPUS)
    work.answer(MemoryError())

    with pytest.raises(MemoryError):
        work.intake.start_unasked(Pool.GPU)

    assert work.slots.busy == 0


def test_slot_kept_for_live_is_claimed_as_such_and_only_by_its_own_hints(work_on: Make) -> None:
    work = work_on({CPU_DEVICE: 2}, reserve_live=1)
    work.started(Pool.CPU)

    assert not work.intake.start_unasked(Pool.CPU)
    work.started(Pool.LIVE, attempt=2)

    assert work.asked() == [(CPU_DEVICE, False), (CPU_DEVICE, True)]


def test_hint_is_over_when_its_attempt_is_paused_and_the_attempt_is_not(work_on: Make) -> None:
    work = work_on({CPU_DEVICE: 1})
    work.answer(claim_of())
    hint = work.hint()
    held = wait_until(lambda: work.running)[0]

    held.suspension.pause()

    hint.join(10)
    assert not hint.is_alive()
    assert (work.slots.busy, work.free_slots) == (0, 1)
    assert work.node.ledger.attempts() == (held,)


def test_attempt_that_goes_on_takes_its_slot_beyond_the_number(work_on: Make) -> None:
    work = work_on({CPU_DEVICE: 1})
    first = work.started()
    first.suspension.pause()
    second = work.started(attempt=2)

    first.suspension.go_on()

    assert work.slots.busy == 2
    second.stop(StopReason.CANCELED)
    wait_until(lambda: work.slots.busy == 1)
    assert not work.intake.start_unasked(Pool.CPU)
    first.stop(StopReason.CANCELED)
    wait_until(lambda: work.slots.free == 1)


def test_stop_of_a_paused_attempt_counts_as_busy_until_it_has_ended(work_on: Make) -> None:
    work = work_on({CPU_DEVICE: 1})
    held = work.started()
    busy: list[int] = []
    held.suspension.pause()
    assert work.slots.busy == 0
    held.on_stop(lambda: busy.append(work.slots.busy))

    held.stop(StopReason.RELEASED)

    assert busy == [1]
    work.let_go.set()
    assert work.slots.wait_until_idle(timeout_seconds=10)
    assert (work.slots.busy, work.slots.free) == (0, 1)


def test_paused_attempt_that_ends_by_itself_leaves_the_number_of_slots_as_it_was(
    work_on: Make,
) -> None:
    work = work_on({CPU_DEVICE: 1})
    held = work.started()
    held.suspension.pause()
    work.let_go.set()

    wait_until(lambda: work.free_slots == 2)

    assert (work.slots.busy, work.slots.free) == (0, 1)


def test_paused_attempt_that_cannot_be_ended_costs_a_slot_until_it_ends(work_on: Make) -> None:
    work = work_on({CPU_DEVICE: 1})
    may_end = threading.Event()
    work.left_behind = start_thread("stuck", may_end.wait)
    held = work.started()
    held.suspension.pause()

    held.stop(StopReason.CANCELED)

    wait_until(lambda: work.slots.lost == 1)
    assert (work.slots.busy, work.slots.free) == (0, 0)
    may_end.set()
    wait_until(lambda: work.slots.free == 1)


def test_claim_that_brings_nothing_asks_for_a_heartbeat_only_while_an_attempt_is_paused(
    work_on: Make,
) -> None:
    work = work_on({CPU_DEVICE: 2})
    held = work.started()
    before = work.beats

    assert not work.intake.start_unasked(Pool.CPU)
    assert work.beats == before

    held.suspension.pause()
    before = work.beats
    assert not work.intake.start_unasked(Pool.CPU)
    assert work.beats == before + 1


def test_canary_starts_on_a_device_that_is_set_aside_although_the_node_drains(
    work_on: Make,
) -> None:
    work = work_on(GPUS)
    work.intake.set_draining(True)
    work.slots.set_aside(["gpu1"])
    work.answer(claim_of())

    assert not work.intake.start_unasked(Pool.GPU)
    assert work.intake.start_canary("gpu1")
    assert not work.intake.start_canary("gpu1")

    assert work.asked() == [("gpu1", False)]


def test_agent_that_stops_starts_no_canary(work_on: Make) -> None:
    work = work_on(GPUS)
    work.node.stop.set()

    assert not work.intake.start_canary("gpu1")

    assert work.asked() == []


def test_poller_asks_for_the_pools_that_no_hints_arrive_for(work_on: Make) -> None:
    work = work_on(GPUS, reserve_live=1)
    poller = Poller(
        work.slots.pools,
        interval_seconds=1,
        hints_arrive=lambda pool: pool is Pool.LIVE,
        start_attempt=work.intake.start_unasked,
    )
    work.answer(claim_of(), None, None, None, None)

    assert poller.run_pass() == 1

    first, *rest = work.asked()
    assert first == ("gpu0", False)
    assert rest == [("gpu1", False), ("gpu2", False), ("gpu1", True), ("gpu2", True)]


def test_poller_asks_at_once_for_what_has_become_free_on_a_gpu_though_hints_arrive(
    work_on: Make,
) -> None:
    work = work_on(GPUS)
    poller = Poller(
        work.slots.pools,
        interval_seconds=1,
        hints_arrive=lambda _: True,
        start_attempt=work.intake.start_unasked,
    )
    work.answer(None, None, None, None)

    assert poller.run_pass({Pool.CPU}) == poller.run_pass() == 0
    assert work.asked() == []
    poller.run_pass({Pool.GPU})
    assert [device for device, _ in work.asked()] == ["gpu0", "gpu1", "gpu2"]


@pytest.mark.parametrize(
    ("device", "hardware"), [("gpu3", Hardware.NVENC), (CPU_DEVICE, Hardware.QSV)]
)
def test_attempt_for_an_encoder_that_the_node_lacks_fails_as_hardware(
    node: Node, device: str, hardware: Hardware
) -> None:
    claim = claim_of().model_copy(update={"device": device, "hardware": hardware})
    held = Held(job_id=claim.job_id, number=claim.attempt, lease=claim.lease)
    node.registered().ledger.admit(held)

    node.runner().run(claim, held)

    (body,) = node.master.said("report")
    assert body.failure_reason == "hardware"
    assert body.error == f"this node has no {hardware} encoder on a device {device}"


def test_error_of_the_master_is_not_taken_for_no_work(work_on: Make) -> None:
    work = work_on({CPU_DEVICE: 1})
    work.answer(ClientError("x"), claim_of())

    assert work.intake.start_unasked(Pool.CPU)
