"""Queues on the wire."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.schemas.base import Answer, Text, Wire, example

HardwareClass = Literal["auto", "cpu", "gpu"]
"""What jobs ask for: anything, the CPU, or some GPU encoder."""


class RankCount(Answer):
    """One rank and hardware class of GET /queues."""

    queue: Queue
    priority: Priority
    rank: int
    hardware: HardwareClass
    waiting: int
    running: int
    """Jobs that hold a lease, paused ones included."""
    oldest_wait_seconds: float | None
    slots: int
    """Slots of the nodes at work that could run such jobs."""


class PausedQueue(Answer):
    """A queue of which nothing starts."""

    queue: Queue
    reason: str | None
    since: datetime


class QueueList(Answer):
    """Every rank, best first, and the slots that serve them."""

    queues: list[RankCount]
    slots: int
    slots_busy: int
    paused: list[PausedQueue] = []


class PauseRequest(Wire):
    """The body of POST /queues/{queue}/pause."""

    model_config = example({"reason": "the archive is being moved"})

    reason: Annotated[Text, Field(max_length=255)] | None = None
