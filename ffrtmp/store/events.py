"""The history: rows are only added, and removed when they are older than retention."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.event import Event, EventKind
from ffrtmp.store.tables import events


@dataclass(frozen=True, slots=True, kw_only=True)
class EventFilter:
    """What a page shows; None is any. ``before`` is the id a page starts below."""

    kind: EventKind | None = None
    job_id: str | None = None
    node_id: str | None = None
    since: datetime | None = None
    before: int | None = None


class Events:
    """Appends and reads facts."""

    def __init__(self, connection: sa.Connection) -> None:
        self._db = connection

    def append(self, *facts: Event) -> None:
        """Write facts in the transaction that made them true."""
        rows = [
            {
                "at": fact.at,
                "kind": fact.kind,
                "job_id": fact.job_id,
                "node_id": fact.node_id,
                "attempt": fact.attempt,
                "data": dict(fact.data),
            }
            for fact in facts
        ]
        if rows:
            self._db.execute(sa.insert(events), rows)

    def of_job(self, job_id: str) -> Sequence[Event]:
        """A job's facts, oldest first."""
        query = sa.select(events).where(events.c.job_id == job_id).order_by(events.c.id)
        return [_event(row) for row in self._db.execute(query)]

    def after(self, event_id: int, *, limit: int) -> Sequence[Event]:
        """Facts of the whole farm after one of them, oldest first."""
        query = sa.select(events).where(events.c.id > event_id).order_by(events.c.id).limit(limit)
        return [_event(row) for row in self._db.execute(query)]

    def list(self, chosen: EventFilter, *, limit: int) -> Sequence[Event]:
        """Facts of the whole farm, newest first."""
        tests: dict[sa.ColumnElement[Any], object] = {
            events.c.kind: chosen.kind,
            events.c.job_id: chosen.job_id,
            events.c.node_id: chosen.node_id,
        }
        query = sa.select(events).where(
            *(column == value for column, value in tests.items() if value is not None)
        )
        if chosen.since is not None:
            is_since = events.c.at >= chosen.since
            # Ids follow time, if not strictly: what is older need not be looked through. As a
            # sum, or SQLite would look for the least id from the oldest on.
            first = sa.select(sa.func.min(events.c.id + 0)).where(is_since).scalar_subquery()
            query = query.where(is_since, events.c.id >= first)
        if chosen.before is not None:
            query = query.where(events.c.id < chosen.before)
        rows = self._db.execute(query.order_by(events.c.id.desc()).limit(limit))
        return [_event(row) for row in rows]

    def delete_before(self, moment: datetime, *, limit: int) -> int:
        """Remove at most ``limit`` old facts; how many were."""
        old = sa.select(events.c.id).where(events.c.at < moment).limit(limit)
        return self._db.execute(sa.delete(events).where(events.c.id.in_(old))).rowcount


def _event(row: sa.Row[tuple[object, ...]]) -> Event:
    values = dict(row._mapping)
    return Event(**values | {"kind": EventKind(values["kind"])})
