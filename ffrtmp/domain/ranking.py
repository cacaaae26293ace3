"""Strict order: queue first (live 10 > default 5 > batch 1), then priority (3 > 2 > 1)."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum


class Queue(StrEnum):
    """Where a job waits; queues outweigh priorities."""

    LIVE = "live"
    DEFAULT = "default"
    BATCH = "batch"


class Priority(StrEnum):
    """Order inside one queue."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuePause:
    """Since when nothing of a queue starts, and why."""

    reason: str | None
    since: datetime


BEST_RANK = 0
WORST_RANK = 8
RANKS = range(BEST_RANK, WORST_RANK + 1)


def rank_of(queue: Queue, priority: Priority) -> int:
    """Rank 0 (live/high) … 8 (batch/low); smaller runs first."""
    return list(Queue).index(queue) * len(Priority) + list(Priority).index(priority)
