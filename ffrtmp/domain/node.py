"""A node: a host, known by one identity, spoken for by one agent process at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from ffrtmp.domain.breaker import WHOLE_NODE, SetAside
from ffrtmp.domain.device import Device, all_capabilities
from ffrtmp.domain.ranking import Queue

CLOCK_SKEW_SECONDS = 5.0
"""A clock that differs from the master's by more is reported; nothing of the farm depends on it."""


class NodeStatus(StrEnum):
    """What the farm may expect of a node.

    available  heard lately, has a free slot.
    busy       heard lately, every slot taken.
    draining   finishes what it runs, gets nothing new; left by undrain.
    offline    silent for longer than the node timeout; left by its next heartbeat.
    """

    AVAILABLE = "available"
    BUSY = "busy"
    DRAINING = "draining"
    OFFLINE = "offline"


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """What an agent says of itself when its process starts.

    ``holding`` names the (job id, attempt number) pairs whose work survived the last process:
    finished, waiting in the spool to be committed or reported. ``registration_id`` is the same on
    every repeat of one registration, so that a repeat is known as one. ``known_epoch`` is the
    node's epoch as it was just before, 0 where there was no node: where it is another by now, the
    words are those of an earlier process and came late. None where the speaker does not know.
    """

    node_id: str
    token_hash: str
    address: str
    name: str
    type: str
    devices: tuple[Device, ...]
    queues: tuple[Queue, ...]
    hardware: Mapping[str, Any]
    version: str
    reserve_live: int = 0
    holding: frozenset[tuple[str, int]] = frozenset()
    registration_id: str | None = None
    known_epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One row of the nodes table.

    ``reserve_live`` slots of the CPU, and as many of all GPUs, run nothing but the live queue.
    ``set_aside`` says which devices failed too often, WHOLE_NODE for the node itself.
    ``heard_farm`` is the farm time of its last heartbeat; ``clock_skew_seconds`` how far its
    clock is, at the least, ahead of the master's, or behind where it is negative.
    """

    id: str
    name: str
    address: str
    type: str
    token_hash: str
    epoch: int
    devices: tuple[Device, ...]
    reserve_live: int
    slots_lost: int
    queues: tuple[Queue, ...]
    hardware: Mapping[str, Any]
    version: str
    is_draining: bool
    is_offline: bool
    heard_farm: float
    heartbeat_seq: int
    last_heartbeat_at: datetime
    registered_at: datetime
    load: Mapping[str, Any]
    clock_skew_seconds: float
    trusted_farm: float = -1.0
    """When an operator last let it back into work, in farm time: what failed until then does not
    count."""
    drain_reason: str | None = None
    registration_id: str | None = None
    set_aside: Mapping[str, SetAside] = field(default_factory=dict)
    revoked_at: datetime | None = None
    """Since when its token opens nothing."""

    def status(self, *, slots_busy: int) -> NodeStatus:
        """The one word that says most."""
        if self.is_offline:
            return NodeStatus.OFFLINE
        if self.is_draining:
            return NodeStatus.DRAINING
        return NodeStatus.BUSY if slots_busy >= self.usable_slots else NodeStatus.AVAILABLE

    @property
    def slots(self) -> int:
        """Attempts it can run at once, on all devices."""
        return sum(device.slots for device in self.devices)

    @property
    def capabilities(self) -> tuple[str, ...]:
        """What it can run, on any device."""
        return all_capabilities(self.devices)

    @property
    def devices_at_work(self) -> Sequence[Device]:
        """Its devices but those set aside."""
        return [device for device in self.devices if device.id not in self.set_aside]

    def device(self, device_id: str) -> Device | None:
        """The device of an id."""
        return next((device for device in self.devices if device.id == device_id), None)

    def reserved_slots(self, *, is_gpu: bool) -> int:
        """Slots of its CPU, or of all its GPUs, that are kept for the live queue."""
        slots = sum(device.slots for device in self.devices if device.is_gpu == is_gpu)
        return min(self.reserve_live, slots)

    @property
    def is_set_aside(self) -> bool:
        """True where the farm itself took the whole node out of work."""
        return self.is_draining and WHOLE_NODE in self.set_aside

    @property
    def usable_slots(self) -> int:
        """Attempts it can run at once: its slots less those it has written off."""
        return max(0, self.slots - self.slots_lost)

    @property
    def has_wrong_clock(self) -> bool:
        """True where its clock and the master's differ by more than is usual."""
        return abs(self.clock_skew_seconds) > CLOCK_SKEW_SECONDS

    @property
    def accepts_work(self) -> bool:
        """True where a claim may be answered with a job."""
        return not (self.is_offline or self.is_draining)
