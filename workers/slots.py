"""Room for attempts, device by device."""

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from ffrtmp.domain.device import CPU_DEVICE
from workers.pools import Pool, pool_of

WAKE_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class Slot:
    """Room for one attempt; ``is_reserved`` where it is kept for the live queue."""

    device: str
    is_reserved: bool = False

    @property
    def pool(self) -> Pool:
        """The pool it is part of."""
        return pool_of(is_gpu=self.device != CPU_DEVICE, is_reserved=self.is_reserved)


class Slots:
    """Each device's slots, taken and given back by threads.

    ``reserve_live`` of the CPU's, and as many of all GPUs', are kept for the live queue: not any
    in particular, but a number. An attempt that goes on after a pause takes its slot whether or
    not one is free; nothing new starts on its device or in its pool until that is made up.
    """

    def __init__(self, counts: Mapping[str, int], *, reserve_live: int = 0) -> None:
        """``counts``: slots by device id, in the order in which equals are preferred."""
        self._counts = dict(counts)
        self._pool_counts = _pool_counts(counts, reserve_live)
        self._busy: Counter[Slot] = Counter()
        self._lost: Counter[Slot] = Counter()
        self._aside: frozenset[str] = frozenset()
        self._changed = threading.Condition()

    @property
    def pools(self) -> tuple[Pool, ...]:
        """Those that have any slots, in the order to fill them: those kept for live last."""
        return tuple(pool for pool, count in self._pool_counts.items() if count)

    @property
    def count(self) -> int:
        """All slots of all devices."""
        return sum(self._counts.values())

    @property
    def busy(self) -> int:
        """Slots taken now."""
        with self._changed:
            return self._busy.total()

    @property
    def free(self) -> int:
        """Slots open now, on devices that are set aside too."""
        return self.count - self.busy - self.lost

    @property
    def lost(self) -> int:
        """Slots written off: what ran in them cannot be ended."""
        with self._changed:
            return self._lost.total()

    def count_of(self, pool: Pool) -> int:
        """All slots of a pool."""
        return self._pool_counts[pool]

    def is_open(self, pool: Pool) -> bool:
        """True where the pool has slots on some device that is not set aside."""
        devices = self._devices_of(pool)
        return bool(self._pool_counts[pool]) and any(d not in self._aside for d in devices)

    def set_aside(self, devices: Collection[str]) -> None:
        """From now on ``try_take`` takes nothing on these, and something on all others."""
        with self._changed:
            self._aside = frozenset(devices)
            self._changed.notify_all()

    def try_take(self, pool: Pool, *, excluding: Collection[str] = ()) -> Slot | None:
        """A slot on the device with the fewest taken, the first of equals; None without one."""
        with self._changed:
            fitting = [
                device
                for device in self._devices_of(pool)
                if device not in self._aside
                and device not in excluding
                and self._used_on(device) < self._counts[device]
            ]
            if not fitting or not self._has_room(pool):
                return None
            device = min(fitting, key=self._used_on)
            return self._take(Slot(device=device, is_reserved=pool.is_reserved))

    def try_take_idle(self, device: str) -> Slot | None:
        """A slot on this device, set aside or not, if nothing runs there; one that is not kept
        for the live queue where there is such a one."""
        with self._changed:
            if device not in self._counts or any(slot.device == device for slot in +self._busy):
                return None
            if self._used_on(device) >= self._counts[device]:
                return None
            slots = (Slot(device=device), Slot(device=device, is_reserved=True))
            return next((self._take(slot) for slot in slots if self._has_room(slot.pool)), None)

    def take_anyway(self, slot: Slot) -> None:
        """Take a slot, beyond the device's number if need be."""
        with self._changed:
            self._take(slot)

    def give_back(self, slot: Slot) -> None:
        """Open a slot again."""
        with self._changed:
            self._busy[slot] -= 1
            self._changed.notify_all()

    def write_off(self, slot: Slot) -> None:
        """A taken slot is not to be counted on until it is recovered."""
        with self._changed:
            self._busy[slot] -= 1
            self._lost[slot] += 1
            self._changed.notify_all()

    def recover(self, slot: Slot) -> None:
        """Open a slot that was written off."""
        with self._changed:
            self._lost[slot] -= 1
            self._changed.notify_all()

    def wait_for_change(self) -> None:
        """Return when a slot was given back, or after a moment."""
        with self._changed:
            self._changed.wait(WAKE_SECONDS)

    def wait_until_idle(self, *, timeout_seconds: float) -> bool:
        """True as soon as no slot is taken, False when the time is over."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._busy.total(), timeout_seconds)

    def _take(self, slot: Slot) -> Slot:
        self._busy[slot] += 1
        return slot

    def _devices_of(self, pool: Pool) -> list[str]:
        return [device for device in self._counts if (device != CPU_DEVICE) == pool.is_gpu]

    def _used_on(self, device: str) -> int:
        return sum(n for slot, n in (self._busy + self._lost).items() if slot.device == device)

    def _has_room(self, pool: Pool) -> bool:
        used = sum(n for slot, n in (self._busy + self._lost).items() if slot.pool is pool)
        return used < self._pool_counts[pool]


def _pool_counts(counts: Mapping[str, int], reserve_live: int) -> dict[Pool, int]:
    on_cpu = counts.get(CPU_DEVICE, 0)
    on_gpus = sum(counts.values()) - on_cpu
    kept_on_cpu, kept_on_gpus = min(reserve_live, on_cpu), min(reserve_live, on_gpus)
    return {
        Pool.CPU: on_cpu - kept_on_cpu,
        Pool.GPU: on_gpus - kept_on_gpus,
        Pool.LIVE: kept_on_cpu,
        Pool.LIVE_GPU: kept_on_gpus,
    }
