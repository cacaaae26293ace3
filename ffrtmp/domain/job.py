"""A job: the request, and the truth about how far it is."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ffrtmp.domain.media import Engine, Hardware
from ffrtmp.domain.ranking import Priority, Queue, rank_of
from ffrtmp.domain.retry import FailureClass


class JobStatus(StrEnum):
    """Where a job is.

    pending     waits for a node; left by a claim, or by cancel. Its row is its own outbox.
    running     an attempt holds its lease; left by commit, result, release, cancel, or lease loss.
    paused      its attempt is suspended and keeps its lease; left as running is, and by resume.
    committing  the attempt's file is accepted and may be renamed; left by its result, or by lease
                loss. Cancel is refused here.
    completed   the result is accepted. Terminal; only an explicit retry of failed and canceled
    failed      jobs leaves a terminal state.
    canceled
    """

    PENDING = "pending"
    RUNNING = "running"
    PAUSED = "paused"
    COMMITTING = "committing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELED = "canceled"

    @property
    def is_terminal(self) -> bool:
        """True where nothing but an explicit retry follows."""
        return self in TERMINAL


TERMINAL = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELED})
HELD = frozenset({JobStatus.RUNNING, JobStatus.PAUSED, JobStatus.COMMITTING})
UNCOMMITTED = frozenset({JobStatus.RUNNING, JobStatus.PAUSED})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobRequest:
    """A validated request, before it has an id.

    ``parameters`` is the request's own JSON object, kept as it came; ``spec`` is the JSON object
    a node gets: everything decided, nothing left to look up. ``requires`` is the capability a
    node must name to run it, ``is_stream`` marks outputs that must never have two publishers.
    ``max_retries`` None takes the master's default.
    """

    scenario: str
    queue: Queue
    priority: Priority
    engine: Engine
    hardware: Hardware
    requires: str
    is_stream: bool
    parameters: Mapping[str, Any]
    spec: Mapping[str, Any]
    max_retries: int | None = None

    @property
    def rank(self) -> int:
        """0 best … 8 worst."""
        return rank_of(self.queue, self.priority)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """One row of the jobs table. ``attempt`` is the fence, ``failures`` the spent budget,
    ``owner`` the name of the key that submitted it.

    ``rank`` decides its turn: ``base_rank``, which queue and priority make, unless waiting has
    raised it. ``waiting_farm`` is the farm time since which it waits, retries included;
    ``room_made_farm`` when another attempt last had to make room for it. ``avoid`` names the nodes
    (``<id>``) and devices (``<id>/gpu0``) it has failed on, left to others until ``avoid_until``.
    """

    id: str
    sequence_number: int
    scenario: str
    queue: Queue
    priority: Priority
    rank: int
    base_rank: int
    owner: str
    engine: Engine
    hardware: Hardware
    requires: str
    is_stream: bool
    parameters: Mapping[str, Any]
    spec: Mapping[str, Any]
    status: JobStatus
    attempt: int
    failures: int
    max_retries: int
    created_at: datetime
    progress: float = 0.0
    fps: float | None = None
    speed: float | None = None
    bits_per_second: int | None = None
    dropped_frames: int | None = None
    retry_at: datetime | None = None
    avoid: tuple[str, ...] = ()
    avoid_until: datetime | None = None
    hold_until_farm: float | None = None
    waiting_farm: float = 0.0
    room_made_farm: float | None = None
    started_at: datetime | None = None
    completed_at: datetime | None = None
    node_id: str | None = None
    node_name: str | None = None
    error: str | None = None
    failure_reason: FailureClass | None = None
    result: Mapping[str, Any] | None = None
    trace_parent: str | None = None

    @property
    def retry_count(self) -> int:
        """Retries spent so far: a failed job's last failure was not followed by one."""
        return max(0, self.failures - 1) if self.status is JobStatus.FAILED else self.failures
