"""``ffrtmp events``: what happened on the farm, and who did it."""

from datetime import UTC, datetime
from typing import Annotated

import typer

from cli.jobs import since_time
from cli.options import Session, with_session
from cli.render import say, show_json, show_table
from ffrtmp.client import MasterClient
from ffrtmp.domain.event import EventKind
from ffrtmp.schemas import FarmEvent, FarmEventList

PAGE = 1000
COLUMNS = ("at", "event", "by", "job", "attempt", "node", "data")


@with_session
def events(
    session: Session,
    *,
    kind: Annotated[EventKind | None, typer.Option(help="only these, such as key.created")] = None,
    job: Annotated[str | None, typer.Option(help="only of this job: id or sequence number")] = None,
    node: Annotated[str | None, typer.Option(help="only of this node: id, name, address")] = None,
    since: Annotated[
        str | None, typer.Option(help="since then: 30m, 2h, 7d, or an RFC 3339 time")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most this many")] = 50,
) -> None:
    """Show what happened on the farm, newest first: jobs, nodes, queues, keys, refused requests."""
    filters: dict[str, str | int | None] = {
        "kind": kind,
        "job": job,
        "node": node,
        "since": since_time(since, datetime.now(UTC)) if since else None,
    }
    with session.client() as master:
        found = _collect(master, filters, limit=limit)
    if session.wants_json:
        show_json(found)
        return
    show_table(COLUMNS, [_row(event) for event in found.events])
    if found.next:
        say(f"there are more than these {found.count}: --limit N shows them")


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(events)


def _collect(
    master: MasterClient, filters: dict[str, str | int | None], *, limit: int
) -> FarmEventList:
    events: list[FarmEvent] = []
    cursor: str | None = None
    while len(events) < limit:
        page = master.history(**filters, limit=min(PAGE, limit - len(events)), cursor=cursor)
        events += page.events
        cursor = page.next
        if cursor is None or not page.events:
            break
    return FarmEventList(events=events, count=len(events), next=cursor)


def _row(event: FarmEvent) -> tuple[object, ...]:
    rest = {name: value for name, value in event.data.items() if name != "by"}
    by = event.data.get("by")
    return (event.at, event.kind, by, event.job_id, event.attempt, event.node_id, rest)
