"""Is it alive, is it ready."""

from fastapi import APIRouter

from ffrtmp import __version__
from ffrtmp.api.state import FarmDep
from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.ranking import Queue

router = APIRouter()


@router.get("/health", tags=["health"])
async def health() -> dict[str, str]:
    """Alive, also while every thread waits for the database; needs no key."""
    return {"status": "ok", "version": __version__}


@router.get("/ready", tags=["health"])
def ready(farm: FarmDep) -> dict[str, str]:
    """Whether database and broker answer, 503 naming what does not; needs no key."""
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
        raise Unavailable(f"does not answer: {', '.join(away)}")
    return {"status": "ready"}
