"""Queues over HTTP."""

from fastapi import APIRouter

from ffrtmp.api import wire
from ffrtmp.api.auth import GuardedRoute, Operator, QueueReader
from ffrtmp.api.state import FarmDep
from ffrtmp.domain.ranking import Queue
from ffrtmp.schemas import PauseRequest, QueueList

router = APIRouter(tags=["queues"], route_class=GuardedRoute)


@router.get("/queues")
def queues(farm: FarmDep, _caller: QueueReader) -> QueueList:
    """Waiting and running per rank and hardware, best first."""
    return wire.queue_list(farm.queues.board())


@router.post("/queues/{queue}/pause")
def pause(
    queue: Queue, farm: FarmDep, caller: Operator, body: PauseRequest | None = None
) -> QueueList:
    """Nothing of the queue starts until it is resumed; what runs goes on."""
    reason = body.reason if body else None
    return wire.queue_list(farm.queues.pause(queue, reason=reason, by=caller.name))


@router.post("/queues/{queue}/resume")
def resume(queue: Queue, farm: FarmDep, caller: Operator) -> QueueList:
    """The queue's jobs start again."""
    return wire.queue_list(farm.queues.resume(queue, by=caller.name))
