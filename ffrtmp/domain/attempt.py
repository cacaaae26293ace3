"""An attempt: one run of a job on one node, under a lease."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.retry import FailureClass


class AttemptState(StrEnum):
    """Live states hold the job's one lease.

    running     the node works; left by commit, result, release, or by the master ending it.
    committing  its file is accepted; left by result, or by lease loss.
    ended       history.
    """

    RUNNING = "running"
    COMMITTING = "committing"
    ENDED = "ended"


LIVE_STATES = (AttemptState.RUNNING, AttemptState.COMMITTING)


class Outcome(StrEnum):
    """How an attempt ended; only ``failed`` and ``node_lost`` spend the job's retry budget."""

    COMPLETED = "completed"
    FAILED = "failed"
    NODE_LOST = "node_lost"
    RELEASED = "released"
    PREEMPTED = "preempted"
    CANCELED = "canceled"


class Pause(StrEnum):
    """Why a live attempt is suspended: its process stopped, its slot given to another.

    operator   until an operator resumes it.
    preempted  until its device has room for it again, in rank order.
    """

    OPERATOR = "operator"
    PREEMPTED = "preempted"


class Order(StrEnum):
    """What a node is told about an attempt it lists in a heartbeat."""

    GO_ON = "go_on"
    PAUSE = "pause"
    CANCEL = "cancel"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One row of the attempts table.

    ``lease`` is the token whose holder may commit and report; ``lease_expires_farm``,
    ``claimed_farm``, ``moved_farm`` (when progress last changed), ``listed_farm`` (when a
    heartbeat last named it, None before the first) and ``ended_farm`` are readings of farm time.
    ``claimed_after`` is the number of heartbeats the node had built when it asked; ``omissions``
    counts later ones that did not list the attempt. ``device`` is what it runs on, ``hardware``
    with which kind of encoder; ``is_reserved`` marks a slot that is kept for the live queue.
    """

    job_id: str
    number: int
    node_id: str
    node_name: str
    epoch: int
    claim_id: str
    lease: str
    lease_expires_farm: float
    claimed_after: int
    omissions: int
    state: AttemptState
    started_at: datetime
    moved_farm: float
    stall_after_seconds: float
    device: str = CPU_DEVICE
    hardware: Hardware = Hardware.CPU
    is_reserved: bool = False
    claimed_farm: float = 0.0
    pause: Pause | None = None
    listed_farm: float | None = None
    progress: float = 0.0
    progress_mark: str = ""
    fps: float | None = None
    speed: float | None = None
    bits_per_second: int | None = None
    dropped_frames: int | None = None
    phase: str | None = None
    ended_at: datetime | None = None
    ended_farm: float | None = None
    outcome: Outcome | None = None
    failure_class: FailureClass | None = None
    error: str | None = None
    exit_code: int | None = None
    argv: tuple[str, ...] = ()
    size_bytes: int | None = None
    sha256: str | None = None

    @property
    def is_live(self) -> bool:
        """True while it holds the job's lease."""
        return self.state in LIVE_STATES

    @property
    def holds_slot(self) -> bool:
        """True while it takes up room on its device: a suspended one does not."""
        return self.is_live and self.pause is None

    @property
    def was_listed(self) -> bool:
        """True once a heartbeat of its node named it: the node knows that it has it."""
        return self.listed_farm is not None

    @property
    def is_stalled(self) -> bool:
        """True where the node said for too long that nothing moves.

        While it says nothing, nobody knows: then its lease decides.
        """
        if self.state is not AttemptState.RUNNING or self.pause or self.listed_farm is None:
            return False
        return self.moved_farm + self.stall_after_seconds <= self.listed_farm


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptProgress:
    """What a heartbeat says of one attempt. ``mark`` changes whenever anything moved."""

    job_id: str
    number: int
    progress: float
    mark: str
    phase: str
    fps: float | None = None
    speed: float | None = None
    bits_per_second: int | None = None
    dropped_frames: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A result as the node sends it: the end of one attempt, in its own words."""

    job_id: str
    node_id: str
    number: int
    lease: str
    outcome: Outcome
    failure_class: FailureClass | None = None
    error: str | None = None
    exit_code: int | None = None
    argv: tuple[str, ...] = ()
    sha256: str | None = None
    size_bytes: int | None = None
    logs: str = ""
    metrics: Mapping[str, Any] | None = None
