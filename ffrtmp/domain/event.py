"""Every state change, as a row written in the same transaction as the change."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from ffrtmp.domain.attempt import Attempt


class EventKind(StrEnum):
    """What happened: the words of the history that timeline, checkers and streams read."""

    JOB_SUBMITTED = "job.submitted"
    JOB_CLAIMED = "job.claimed"
    JOB_COMMITTING = "job.committing"
    JOB_COMPLETED = "job.completed"
    JOB_FAILED = "job.failed"
    JOB_CANCELED = "job.canceled"
    JOB_RETRY_SCHEDULED = "job.retry_scheduled"
    JOB_RELEASED = "job.released"
    JOB_PREEMPTED = "job.preempted"
    JOB_PAUSED = "job.paused"
    JOB_RESUMED = "job.resumed"
    JOB_RAISED = "job.raised"
    JOB_RETRIED = "job.retried"
    JOB_REPRIORITIZED = "job.reprioritized"
    JOB_FAILURES_FORGIVEN = "job.failures_forgiven"
    NODE_REGISTERED = "node.registered"
    NODE_OFFLINE = "node.offline"
    NODE_ONLINE = "node.online"
    NODE_DRAINING = "node.draining"
    NODE_UNDRAINED = "node.undrained"
    NODE_REMOVED = "node.removed"
    NODE_REVOKED = "node.revoked"
    DEVICE_SET_ASIDE = "device.set_aside"
    DEVICE_TRUSTED = "device.trusted"
    QUEUE_PAUSED = "queue.paused"
    QUEUE_RESUMED = "queue.resumed"
    KEY_CREATED = "key.created"
    KEY_ROTATED = "key.rotated"
    KEY_REVOKED = "key.revoked"
    ACCESS_REFUSED = "access.refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One fact; ``id`` increases, None until the store gives it one."""

    kind: EventKind
    at: datetime
    job_id: str | None = None
    node_id: str | None = None
    attempt: int | None = None
    data: Mapping[str, Any]
    id: int | None = None


def of_attempt(
    kind: EventKind, attempt: Attempt, *, at: datetime, data: Mapping[str, Any]
) -> Event:
    """A fact of one run of a job."""
    return Event(
        kind=kind,
        at=at,
        job_id=attempt.job_id,
        node_id=attempt.node_id,
        attempt=attempt.number,
        data=data,
    )
