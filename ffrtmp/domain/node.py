"""A node: a host, known by one identity, spoken for by one agent process at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

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
    slots: int
    queues: tuple[Queue, ...]
    capabilities: tuple[str, ...]
    hardware: Mapping[str, Any]
    version: str
    holding: frozenset[tuple[str, int]] = frozenset()
    registration_id: str | None = None
    known_epoch: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One row of the nodes table.

    ``heard_farm`` is the farm time of its last heartbeat; ``clock_skew_seconds`` how far its
    clock is, at the least, ahead of the master's, or behind where it is negative.
    """

    id: str
    name: str
    address: str
    type: str
    token_hash: str
    epoch: int
    slots: int
    slots_lost: int
    queues: tuple[Queue, ...]
    capabilities: tuple[str, ...]
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

    def status(self, *, slots_busy: int) -> NodeStatus:
        """The one word that says most."""
        if self.is_offline:
            return NodeStatus.OFFLINE
        if self.is_draining:
            return NodeStatus.DRAINING
        return NodeStatus.BUSY if slots_busy >= self.usable_slots else NodeStatus.AVAILABLE

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
