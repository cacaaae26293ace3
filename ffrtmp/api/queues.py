"""Queues over HTTP."""

from fastapi import APIRouter

from ffrtmp.api import wire
from ffrtmp.api.auth import KeyOwner
from ffrtmp.api.body import StrictRoute
from ffrtmp.api.state import FarmDep
from ffrtmp.domain.ranking import Queue
from ffrtmp.schemas import PauseRequest, QueueList

router = APIRouter(tags=["queues"], route_class=StrictRoute)


@router.get("/queues")
def queues(farm: FarmDep, _owner: KeyOwner) -> QueueList:
    """Waiting and running per rank and hardware, best first."""
    return wire.queue_list(farm.queues.board())


@router.post("/queues/{queue}/pause")
def pause(
    queue: Queue, farm: FarmDep, _owner: KeyOwner, body: PauseRequest | None = None
) -> QueueList:
    """Nothing of the queue starts until it is resumed; what runs goes on."""
    return wire.queue_list(farm.queues.pause(queue, reason=body.reason if body else None))


@router.post("/queues/{queue}/resume")
def resume(queue: Queue, farm: FarmDep, _owner: KeyOwner) -> QueueList:
    """The queue's jobs start again."""
    return wire.queue_list(farm.queues.resume(queue))
