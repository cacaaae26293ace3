"""The history: rows are only added, and removed when they are older than retention."""

from collections.abc import Sequence
from datetime import datetime

import sqlalchemy as sa

from ffrtmp.domain.event import Event, EventKind
from ffrtmp.store.tables import events


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

    def delete_before(self, moment: datetime, *, limit: int) -> int:
        """Remove at most ``limit`` old facts; how many were."""
        old = sa.select(events.c.id).where(events.c.at < moment).limit(limit)
        return self._db.execute(sa.delete(events).where(events.c.id.in_(old))).rowcount


def _event(row: sa.Row[tuple[object, ...]]) -> Event:
    values = dict(row._mapping)
    return Event(**values | {"kind": EventKind(values["kind"])})
