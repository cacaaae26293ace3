"""What travels over the broker: hints as Celery messages, nudges as empty pub/sub messages.

Names carry a version: a worker that does not know a task name acknowledges and drops it.
"""

import uuid
from collections.abc import Mapping
from typing import Any

from ffrtmp.domain.hint import HINT_VERSION, Hint
from ffrtmp.domain.ranking import RANKS

HINT_TASK = "ffrtmp.hint.v1"
RECONCILE_TASK = "ffrtmp.control.reconcile.v1"
RETENTION_TASK = "ffrtmp.control.retention.v1"
COUNTS_TASK = "ffrtmp.control.counts.v1"

HINT_BODY_LIMIT_BYTES = 300


def hint_kwargs(hint: Hint) -> dict[str, object]:
    """The keyword arguments of ``HINT_TASK``: ``{v, job_id, rank}`` and nothing else."""
    return {"v": HINT_VERSION, "job_id": hint.job_id, "rank": hint.rank}


def hint_from_kwargs(kwargs: Mapping[str, Any], *, queue_name: str) -> Hint | None:
    """The hint in a message taken from ``queue_name``; None if it is anything but a hint."""
    if set(kwargs) != {"v", "job_id", "rank"}:
        return None
    version, job_id, rank = kwargs["v"], kwargs["job_id"], kwargs["rank"]
    if type(version) is not int or version != HINT_VERSION:
        return None
    if type(rank) is not int or rank not in RANKS or not _is_canonical_uuid(job_id):
        return None
    return Hint(job_id=job_id, rank=rank, queue_name=queue_name)


def nudge_channel(node_id: str) -> str:
    """The pub/sub channel on which a node is asked for its heartbeat."""
    return f"ffrtmp.nudge.{node_id}"


def _is_canonical_uuid(value: object) -> bool:
    try:
        return isinstance(value, str) and str(uuid.UUID(value)) == value
    except ValueError:
        return False
