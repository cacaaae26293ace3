"""How much room the devices of nodes have left."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from ffrtmp.domain.device import Device
from ffrtmp.domain.node import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """How many slots of a device are taken, reserved ones for the live queue or others."""

    node_id: str
    device: str
    is_reserved: bool
    count: int


@dataclass(frozen=True, slots=True)
class Occupancy:
    """The slots taken on some nodes; ``taken`` counts by node, device and whether reserved."""

    taken: Counter[tuple[str, str, bool]] = field(default_factory=Counter)

    @classmethod
    def of(cls, rows: Iterable[Taken]) -> "Occupancy":
        """From what the store counted."""
        counted: Counter[tuple[str, str, bool]] = Counter()
        for row in rows:
            counted[row.node_id, row.device, row.is_reserved] += row.count
        return cls(counted)

    def take(self, node: Node, device: Device, *, is_live: bool) -> None:
        """One slot more is taken, as a claim would: a reserved one only where no other is free."""
        is_reserved = is_live and self.free(node, device, is_live=False) <= 0
        self.taken[node.id, device.id, is_reserved] += 1

    def on_device(self, node_id: str, device_id: str) -> int:
        """Slots taken on one device."""
        return self.taken[node_id, device_id, False] + self.taken[node_id, device_id, True]

    def on_node(self, node: Node) -> int:
        """Slots taken on all devices of a node."""
        return sum(self.on_device(node.id, device.id) for device in node.devices)

    def free(self, node: Node, device: Device, *, is_live: bool) -> int:
        """Attempts that could start on a device now; what is reserved counts for live ones only."""
        left = min(
            device.slots - self.on_device(node.id, device.id),
            node.usable_slots - self.on_node(node),
        )
        if is_live:
            return max(0, left)
        alike = [one for one in node.devices if one.is_gpu == device.is_gpu]
        general = sum(one.slots for one in alike) - node.reserved_slots(is_gpu=device.is_gpu)
        held = sum(self.taken[node.id, one.id, False] for one in alike)
        return max(0, min(left, general - held))

    def reserved_free(self, node: Node, device: Device) -> int:
        """Reserved slots that a live attempt could take on a device now."""
        alike = [one for one in node.devices if one.is_gpu == device.is_gpu]
        held = sum(self.taken[node.id, one.id, True] for one in alike)
        left = node.reserved_slots(is_gpu=device.is_gpu) - held
        return max(0, min(left, self.free(node, device, is_live=True)))


def busy_by_node(rows: Iterable[Taken]) -> Mapping[str, int]:
    """How many slots each node has taken, of those that have any."""
    counted: Counter[str] = Counter()
    for row in rows:
        counted[row.node_id] += row.count
    return counted
