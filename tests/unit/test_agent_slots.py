"""Slots: how many, on which device, and which are kept for the live queue."""

import threading

import pytest

from ffrtmp.domain.device import CPU_DEVICE
from workers.pools import Pool
from workers.slots import Slot, Slots

TWO_GPUS = {CPU_DEVICE: 2, "gpu0": 2, "gpu1": 2}


def devices_of(*taken: Slot | None) -> list[str | None]:
    return [slot.device if slot else None for slot in taken]


def take(slots: Slots, pool: Pool, times: int) -> list[Slot]:
    taken = [slots.try_take(pool) for _ in range(times)]
    return [slot for slot in taken if slot is not None]


def test_slots_are_never_more_than_their_number() -> None:
    slots = Slots({CPU_DEVICE: 2})

    taken = take(slots, Pool.CPU, 3)

    assert taken == [Slot(device=CPU_DEVICE)] * 2
    slots.give_back(taken[0])
    assert slots.free == 1


def test_gpu_slots_are_spread_over_all_gpus_and_never_more_than_each_has() -> None:
    slots = Slots({CPU_DEVICE: 9, "gpu0": 1, "gpu1": 3})

    taken = take(slots, Pool.GPU, 9)

    assert devices_of(*taken) == ["gpu0", "gpu1", "gpu1", "gpu1"]
    assert slots.try_take(Pool.CPU) == Slot(device=CPU_DEVICE)


def test_least_busy_gpu_is_taken_next() -> None:
    slots = Slots(TWO_GPUS)
    first, second, _ = take(slots, Pool.GPU, 3)
    slots.give_back(second)
    slots.give_back(first)

    assert devices_of(*take(slots, Pool.GPU, 3)) == ["gpu1", "gpu0", "gpu1"]


def test_gpu_that_is_set_aside_or_excluded_takes_nothing_until_it_is_back() -> None:
    slots = Slots(TWO_GPUS)
    slots.set_aside(["gpu0"])

    assert slots.try_take(Pool.GPU, excluding=["gpu1"]) is None
    assert devices_of(*take(slots, Pool.GPU, 3)) == ["gpu1", "gpu1"]
    assert slots.is_open(Pool.GPU)
    slots.set_aside(["gpu0", "gpu1"])
    assert not slots.is_open(Pool.GPU)
    slots.set_aside([])
    assert devices_of(slots.try_take(Pool.GPU)) == ["gpu0"]


def test_slots_kept_for_live_are_a_number_of_their_own_for_cpu_and_gpus() -> None:
    slots = Slots(TWO_GPUS, reserve_live=1)

    assert slots.pools == (Pool.CPU, Pool.GPU, Pool.LIVE, Pool.LIVE_GPU)
    assert [slots.count_of(pool) for pool in slots.pools] == [1, 3, 1, 1]
    assert take(slots, Pool.CPU, 2) == [Slot(device=CPU_DEVICE)]
    assert take(slots, Pool.LIVE, 2) == [Slot(device=CPU_DEVICE, is_reserved=True)]
    assert len(take(slots, Pool.GPU, 4)) == 3
    assert take(slots, Pool.LIVE_GPU, 2) == [Slot(device="gpu1", is_reserved=True)]


def test_reserve_that_is_larger_than_the_gpus_takes_all_their_slots() -> None:
    slots = Slots({CPU_DEVICE: 4, "gpu0": 1}, reserve_live=2)

    assert slots.pools == (Pool.CPU, Pool.LIVE, Pool.LIVE_GPU)
    assert slots.count_of(Pool.LIVE_GPU) == 1
    assert slots.try_take(Pool.GPU) is None


def test_node_without_gpus_has_no_pool_for_them() -> None:
    assert Slots({CPU_DEVICE: 2}, reserve_live=1).pools == (Pool.CPU, Pool.LIVE)
    assert Slots({CPU_DEVICE: 2}).pools == (Pool.CPU,)


def test_slot_taken_beyond_the_number_has_to_be_made_up_before_anything_new() -> None:
    slots = Slots({CPU_DEVICE: 1})
    (slot,) = take(slots, Pool.CPU, 1)

    slots.take_anyway(slot)

    assert (slots.busy, slots.free) == (2, -1)
    slots.give_back(slot)
    assert slots.try_take(Pool.CPU) is None
    slots.give_back(slot)
    assert slots.try_take(Pool.CPU) == slot


def test_device_that_was_overfilled_takes_nothing_though_its_pool_has_room() -> None:
    slots = Slots(TWO_GPUS)
    for slot in take(slots, Pool.GPU, 2):
        slots.take_anyway(Slot(device="gpu0"))
        slots.give_back(slot)

    assert devices_of(*take(slots, Pool.GPU, 4)) == ["gpu1", "gpu1"]


def test_idle_device_gives_one_slot_even_where_it_is_set_aside() -> None:
    slots = Slots(TWO_GPUS, reserve_live=1)
    slots.set_aside(["gpu0"])

    assert slots.try_take_idle("gpu0") == Slot(device="gpu0")
    assert slots.try_take_idle("gpu0") is None
    assert slots.try_take_idle("gpu7") is None


def test_idle_device_gives_a_slot_that_is_kept_for_live_where_there_is_no_other() -> None:
    slots = Slots({CPU_DEVICE: 1}, reserve_live=1)

    assert slots.try_take_idle(CPU_DEVICE) == Slot(device=CPU_DEVICE, is_reserved=True)


def test_waiting_for_idle_ends_when_the_last_slot_opens() -> None:
    slots = Slots({CPU_DEVICE: 1})
    (slot,) = take(slots, Pool.CPU, 1)
    threading.Timer(0.05, slots.give_back, [slot]).start()

    assert slots.wait_until_idle(timeout_seconds=5)


def test_slot_that_was_written_off_is_neither_taken_nor_waited_for() -> None:
    slots = Slots({CPU_DEVICE: 2})
    (slot,) = take(slots, Pool.CPU, 1)

    slots.write_off(slot)

    assert slots.wait_until_idle(timeout_seconds=0)
    assert len(take(slots, Pool.CPU, 2)) == 1
    slots.recover(slot)
    assert (slots.free, slots.lost) == (1, 0)


@pytest.mark.parametrize("device", ["gpu0", CPU_DEVICE])
def test_device_of_which_all_slots_are_lost_gives_no_idle_one(device: str) -> None:
    slots = Slots({CPU_DEVICE: 1, "gpu0": 1})
    slot = slots.try_take_idle(device)
    assert slot is not None

    slots.write_off(slot)

    assert slots.try_take_idle(device) is None
