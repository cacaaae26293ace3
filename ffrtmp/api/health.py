"""Is it alive, is it ready, how long are the queues."""

from fastapi import APIRouter
from starlette.responses import Response

from ffrtmp import __version__
from ffrtmp.api import wire
from ffrtmp.api.auth import KeyOwner
from ffrtmp.api.errors import error_response
from ffrtmp.api.state import FarmDep
from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.ranking import Queue
from ffrtmp.schemas import QueueList

router = APIRouter()


@router.get("/health", tags=["health"])
def health() -> dict[str, str]:
    """Alive; needs no key."""
    return {"status": "ok", "version": __version__}


@router.get("/ready", tags=["health"], responses={503: {"description": "names what is away"}})
def ready(farm: FarmDep) -> Response:
    """Whether database and broker answer; needs no key and says no more than that."""
    away = []
    try:
        farm.counts.last()
    except Unavailable:
        away.append("database")
    try:
        farm.context.bell.waiting(Queue.LIVE)
    except Unavailable:
        away.append("broker")
    if away:
        return error_response(503, "unavailable", f"does not answer: {', '.join(away)}")
    return Response('{"status": "ready"}', media_type="application/json")


@router.get("/queues", tags=["queues"])
def queues(farm: FarmDep, _owner: KeyOwner) -> QueueList:
    """Waiting and running per rank, best first."""
    return wire.queue_list(farm.counts.board())
