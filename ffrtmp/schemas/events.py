"""The farm's history on the wire."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from ffrtmp.domain.event import EventKind
from ffrtmp.schemas.base import Answer, Moment, Name, Wire
from ffrtmp.schemas.queries import MAX_PAGE, in_utc


class EventQuery(Wire):
    """Filters and place of a page of GET /events."""

    kind: EventKind | None = None
    job: Annotated[str, Field(pattern=r"^([1-9][0-9]{0,17}|[0-9a-f-]{36})$")] | None = Field(
        None, description="UUID or sequence number."
    )
    node: Name | None = Field(None, description="Id, name or address; of a removed node its id.")
    since: Annotated[Moment, AfterValidator(in_utc)] | None = Field(
        None, description="Then or later; RFC 3339 with its zone."
    )
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    cursor: Annotated[int, Field(ge=1, lt=1 << 62)] | None = Field(
        None, description="``next`` of the page before."
    )


class FarmEvent(Answer):
    """One fact of the farm's history."""

    id: int
    kind: str
    at: datetime
    job_id: str | None
    node_id: str | None
    attempt: int | None
    data: dict[str, Any]
    """``by`` is the name of the key that did it, where a person did."""


class FarmEventList(Answer):
    """One page, newest first; ``next`` is the cursor of the following one."""

    events: list[FarmEvent]
    count: int
    next: str | None = None
