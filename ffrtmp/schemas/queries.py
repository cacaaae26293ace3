"""What may stand behind the question mark: an unknown name is an error, as in a body."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import (
    AfterValidator,
    Field,
    ValidationInfo,
    field_validator,
)

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.schemas.base import MAX_COUNT, Moment, Name, Wire

MAX_PAGE = 1000


def in_utc(value: datetime) -> datetime:
    """The same moment in UTC; ValueError where it has none."""
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("has no time in UTC") from None


class JobQuery(Wire):
    """Filters and place of a page of GET /jobs."""

    status: JobStatus | None = None
    queue: Queue | None = None
    priority: Priority | None = None
    node: Name | None = Field(None, description="Id, name or address.")
    scenario: Name | None = None
    owner: Name | None = Field(None, description="Name of the key that submitted them.")
    since: Annotated[Moment, AfterValidator(in_utc)] | None = Field(
        None, description="Submitted then or later; RFC 3339 with its zone."
    )
    limit: Annotated[int, Field(ge=1, le=MAX_PAGE)] = 100
    cursor: Annotated[int, Field(ge=1, lt=1 << 62)] | None = Field(
        None, description="``next`` of the page before."
    )


class LogQuery(Wire):
    """Which log of GET /jobs/{id}/logs, and whether to stay."""

    attempt: Annotated[int, Field(ge=1, le=MAX_COUNT)] | None = Field(
        None, description="The last one by default."
    )
    follow: bool = Field(False, description="Stream server-sent events until the job ends.")

    @field_validator("follow")
    @classmethod
    def _follows_the_last(cls, follow: bool, values: ValidationInfo) -> bool:
        if follow and values.data.get("attempt") is not None:
            raise ValueError("follows the attempt that runs; leave out attempt")
        return follow
