"""The farm's history over HTTP: what was done, and by whom."""

from typing import Annotated

from fastapi import APIRouter, Query

from ffrtmp.api import wire
from ffrtmp.api.auth import FarmReader, GuardedRoute
from ffrtmp.api.state import FarmDep
from ffrtmp.domain.errors import NotFound
from ffrtmp.schemas import EventQuery, FarmEventList
from ffrtmp.services.farm import Farm
from ffrtmp.store.events import EventFilter

router = APIRouter(tags=["events"], route_class=GuardedRoute)


@router.get("/events")
def events(
    farm: FarmDep, _caller: FarmReader, query: Annotated[EventQuery, Query()]
) -> FarmEventList:
    """One page of everything that happened, newest first."""
    chosen = EventFilter(
        kind=query.kind,
        job_id=_job_id(farm, query.job) if query.job else None,
        node_id=_node_id(farm, query.node) if query.node else None,
        since=query.since,
        before=query.cursor,
    )
    found = farm.history.page(chosen, limit=query.limit + 1)
    page = found[: query.limit]
    following = str(page[-1].id) if len(found) > query.limit else None
    answers = [wire.farm_event(event) for event in page]
    return FarmEventList(events=answers, count=len(answers), next=following)


def _job_id(farm: Farm, reference: str) -> str:
    # The history of a job outlives it: its id needs no job.
    return farm.jobs.get(int(reference)).id if reference.isdigit() else reference


def _node_id(farm: Farm, reference: str) -> str:
    try:
        return farm.nodes.get(reference).node.id
    except NotFound:
        return reference
