"""The pure rules of room, room-making and forecasts."""

from dataclasses import replace

import pytest

from ffrtmp.domain.device import Device
from ffrtmp.domain.forecast import remaining_of, seconds_until_start
from ffrtmp.domain.node import Node
from ffrtmp.domain.occupancy import Occupancy, Taken
from tests import builders

NODE = Node(
    id="n",
    name="n",
    address="n",
    type="server",
    token_hash="t",
    epoch=1,
    devices=(builders.cpu(slots=3), builders.gpu(0, slots=2), builders.gpu(1, slots=2)),
    reserve_live=1,
    slots_lost=0,
    queues=(),
    hardware={},
    version="",
    is_draining=False,
    is_offline=False,
    heard_farm=0,
    heartbeat_seq=0,
    last_heartbeat_at=builders.START,
    registered_at=builders.START,
    load={},
    clock_skew_seconds=0,
)
CPU, GPU0, GPU1 = NODE.devices


def occupied(*rows: tuple[Device, bool, int]) -> Occupancy:
    return Occupancy.of(
        Taken(node_id="n", device=device.id, is_reserved=is_reserved, count=count)
        for device, is_reserved, count in rows
    )


def test_reserved_slots_are_free_for_live_attempts_only() -> None:
    room = occupied((CPU, False, 2))

    assert room.free(NODE, CPU, is_live=False) == 0
    assert room.free(NODE, CPU, is_live=True) == 1
    assert room.reserved_free(NODE, CPU) == 1


def test_reserve_of_gpus_is_a_number_over_all_of_them() -> None:
    room = occupied((GPU0, False, 1), (GPU1, False, 2))

    assert [room.free(NODE, one, is_live=False) for one in (GPU0, GPU1)] == [0, 0]
    assert [room.free(NODE, one, is_live=True) for one in (GPU0, GPU1)] == [1, 0]


def test_slots_of_one_kind_say_nothing_about_the_other() -> None:
    assert occupied((CPU, False, 2)).free(NODE, GPU0, is_live=False) == 2


def test_slots_that_were_written_off_are_nobodys() -> None:
    assert Occupancy().free(replace(NODE, slots_lost=6), CPU, is_live=True) == 1


def test_live_attempt_takes_a_reserved_slot_only_where_no_other_is_free() -> None:
    room = occupied((CPU, False, 1))
    for _ in range(2):
        room.take(NODE, CPU, is_live=True)

    assert (room.taken["n", "cpu", False], room.taken["n", "cpu", True]) == (2, 1)


@pytest.mark.parametrize(
    ("ahead", "free", "remaining", "expected"),
    [
        (0, 1, [], 0.0),
        (0, 0, [30.0, 10.0], 10.0),
        (1, 0, [30.0, 10.0], 30.0),
        (2, 0, [30.0, 10.0], 50.0),
        (2, 1, [], 80.0),
        (0, 0, [], None),
        (3000, 2, [], 60_000.0),
    ],
)
def test_forecast_follows_the_slots_turn_by_turn(
    ahead: int, free: int, remaining: list[float], expected: float | None
) -> None:
    found = seconds_until_start(
        jobs_ahead=ahead, free_slots=free, remaining_seconds=remaining, run_seconds=40.0
    )

    assert found == expected


@pytest.mark.parametrize(
    ("progress", "usual", "expected"), [(0.25, 10.0, 90.0), (0.0, 50.0, 20.0), (0.0, None, 0.0)]
)
def test_what_is_left_goes_by_progress_and_else_by_what_is_usual(
    progress: float, usual: float | None, expected: float
) -> None:
    assert remaining_of(elapsed_seconds=30, progress=progress, run_seconds=usual) == expected
