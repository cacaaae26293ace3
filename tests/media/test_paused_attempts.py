"""Attempts with a real ffmpeg that are paused, by orders as heartbeats bring them."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.domain.spec import Limits
from ffrtmp.schemas import ClaimAnswer, ResultRequest
from tests.media.specs import FFMPEG
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from tests.waiting import wait_until
from workers.intake import Intake, Listeners
from workers.ledger import Held, StopReason
from workers.pools import Pool
from workers.slots import Slots

PAUSED_SECONDS = 2.0
LIMIT_SECONDS = 3.0
LONG_SECONDS = 3600
node = agent_parts.node


def process_of(node: Node) -> psutil.Process | None:
    """The ffmpeg that writes below the node's folder."""
    for process in psutil.Process().children():
        with contextlib.suppress(psutil.Error):
            if any(Path(file.path).is_relative_to(node.folder) for file in process.open_files()):
                return process
    return None


def slots_around(node: Node) -> tuple[Slots, Intake]:
    slots = Slots({CPU_DEVICE: 1})
    intake = Intake(
        slots=slots,
        claims=node.claims(),
        run=node.runner(FFMPEG).run,
        has_room=lambda: True,
        closing=node.stop,
        listeners=Listeners(
            on_change=lambda: None, on_free_slot=lambda _: None, on_hint=lambda _: None
        ),
    )
    return slots, intake


@contextlib.contextmanager
def started(node: Node, claim: ClaimAnswer) -> Iterator[tuple[Held, Slots]]:
    """An attempt of this claim and the only slot it is in; stopped at the end."""
    slots, intake = slots_around(node.registered())
    node.master.answers["claim"] = [claim]
    assert intake.start_unasked(Pool.CPU)
    (held,) = node.ledger.attempts()
    try:
        yield held, slots
    finally:
        held.stop(StopReason.GONE)
        assert slots.wait_until_idle(timeout_seconds=60)


def limited(**parameters: Any) -> ClaimAnswer:
    claim = claim_of(**parameters)
    limits = Limits(timeout_seconds=LIMIT_SECONDS)
    spec = replace(claim.spec, limits=limits)
    return claim.model_copy(update={"spec": spec})


def is_encoding(held: Held) -> bool:
    return held.progress.phase == "encoding" and held.progress.fraction > 0


def speed_of(body: ResultRequest, *, seconds: float) -> object:
    """What a run of so many seconds of film comes to, without its pauses."""
    return pytest.approx(seconds / body.metrics["encode_seconds"], rel=0.3)


def test_paused_encode_stands_still_and_goes_on_to_the_same_end(node: Node) -> None:
    with started(node, claim_of(duration=60, preset="ultrafast")) as (held, slots):
        process = wait_until(lambda: process_of(node))
        wait_until(lambda: is_encoding(held))
        held.suspension.pause()
        paused_at = time.monotonic()
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
        assert (slots.busy, held.beat(1).phase) == (0, "paused")

        wait_until(lambda: time.monotonic() > paused_at + PAUSED_SECONDS)
        held.suspension.go_on()
        assert slots.busy == 1
        wait_until(lambda: node.master.said("report"))

    (body,) = node.master.said("report")
    assert body.status == "completed"
    assert (body.metrics["frames"], body.metrics["device"]) == (1800, "cpu")
    assert body.metrics["hardware"] == "cpu"
    assert body.metrics["speed"] == speed_of(body, seconds=60)
    assert node.ledger.attempts() == ()


def test_time_that_an_encode_is_paused_does_not_count_for_its_limit_or_its_speed(
    node: Node,
) -> None:
    with started(node, limited(duration=8, preset="ultrafast")) as (held, _slots):
        process = wait_until(lambda: process_of(node))
        held.suspension.pause()
        paused_at = time.monotonic()
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
        wait_until(lambda: time.monotonic() > paused_at + LIMIT_SECONDS + PAUSED_SECONDS)
        assert not held.is_overdue(after_seconds=0)
        held.suspension.go_on()
        wait_until(lambda: node.master.said("report"))

    (body,) = node.master.said("report")
    assert body.status == "completed"
    assert body.metrics["encode_seconds"] < LIMIT_SECONDS
    assert body.metrics["speed"] == speed_of(body, seconds=8)


@pytest.mark.parametrize("reason", [StopReason.CANCELED, StopReason.RELEASED])
def test_paused_encode_that_is_ordered_to_end_ends_at_once_and_leaves_nothing(
    node: Node, reason: StopReason
) -> None:
    with started(node, claim_of(duration=LONG_SECONDS)) as (held, slots):
        process = wait_until(lambda: process_of(node))
        held.suspension.pause()
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)

        held.stop(reason)

        assert slots.busy == 1
        assert slots.wait_until_idle(timeout_seconds=5)
        assert not process.is_running()
    assert node.ledger.attempts() == ()
    assert list((node.folder / "output").iterdir()) == []
    assert len(node.master.said("release")) == (1 if reason is StopReason.RELEASED else 0)
