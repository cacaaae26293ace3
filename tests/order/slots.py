"""The slots of one agent, as it counts them itself."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ffrtmp.domain.device import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Room for one attempt."""

    device: Device
    is_reserved: bool


class Slots:
    """``reserve_live`` of the CPU's, and as many of all GPUs', are kept for the live queue."""

    def __init__(self, devices: Sequence[Device], *, reserve_live: int) -> None:
        self._devices = devices
        self._reserve_live = reserve_live
        self._busy: Counter[tuple[bool, bool]] = Counter()
        self._on: Counter[str] = Counter()
        self.aside: Collection[str] = ()

    def count(self, *, is_gpu: bool, is_reserved: bool) -> int:
        """All slots of a pool."""
        slots = sum(one.slots for one in self._devices if one.is_gpu == is_gpu)
        reserved = min(self._reserve_live, slots)
        return reserved if is_reserved else slots - reserved

    def try_take(
        self, *, is_gpu: bool, is_reserved: bool, excluding: Collection[str] = ()
    ) -> Slot | None:
        """One on the device with the fewest taken."""
        if self._busy[is_gpu, is_reserved] >= self.count(is_gpu=is_gpu, is_reserved=is_reserved):
            return None
        fitting = [
            device
            for device in self._devices
            if device.is_gpu == is_gpu and device.id not in self.aside
            if device.id not in excluding and self.on(device) < device.slots
        ]
        if not fitting:
            return None
        return self.take(Slot(device=min(fitting, key=self.on), is_reserved=is_reserved))

    def take(self, slot: Slot) -> Slot:
        """Whether or not it is free: an attempt goes on after a pause."""
        self._count(slot, 1)
        return slot

    def give_back(self, slot: Slot) -> None:
        """Open it again."""
        self._count(slot, -1)

    def on(self, device: Device) -> int:
        """Slots taken on a device."""
        return self._on[device.id]

    def _count(self, slot: Slot, change: int) -> None:
        self._busy[slot.device.is_gpu, slot.is_reserved] += change
        self._on[slot.device.id] += change
