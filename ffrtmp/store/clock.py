"""The farm's one row: farm time, proofs of life, and the counts that scrapes read."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.farmclock import FarmClock
from ffrtmp.domain.ranking import Queue, QueuePause
from ffrtmp.store.tables import FARM_ROW, farm

_ROW = farm.c.id == FARM_ROW
# Built once: composing them costs more than running them.
_READINGS = (farm.c.seconds, farm.c.last_pass_at, farm.c.api_beats, farm.c.beats_seen)
_CLOCK = sa.select(*_READINGS).where(_ROW)
_PAUSED_QUEUES = sa.select(farm.c.paused_queues).where(_ROW)


class ClockRow:
    """Reads and moves the farm clock."""

    def __init__(self, connection: sa.Connection) -> None:
        self._db = connection

    def create(self, now: datetime) -> None:
        """Make the row unless it is there."""
        if self._db.execute(sa.select(farm.c.id)).first() is None:
            values = {"seconds": 0.0, "last_pass_at": now, "api_beats": 0, "beats_seen": 0}
            empty: dict[str, Any] = {"counts": {}, "paused_queues": {}}
            self._db.execute(sa.insert(farm).values(id=FARM_ROW, **values, **empty))

    def read(self) -> FarmClock:
        """The clock as the last pass left it."""
        row = self._db.execute(_CLOCK).one()
        return FarmClock(**row._mapping)

    def advance(self, before: FarmClock, after: FarmClock) -> bool:
        """Store ``after`` if the row still is ``before``; False where another pass was first."""
        changed = self._db.execute(
            sa.update(farm)
            .where(_ROW, farm.c.last_pass_at == before.last_pass_at)
            .where(farm.c.seconds == before.seconds)
            .values(
                seconds=after.seconds,
                last_pass_at=after.last_pass_at,
                beats_seen=after.beats_seen,
            )
        )
        return changed.rowcount == 1

    def beat(self) -> None:
        """An API process proves itself alive."""
        self._db.execute(sa.update(farm).where(_ROW).values(api_beats=farm.c.api_beats + 1))

    def counts(self) -> Mapping[str, Any]:
        """The last counts that were put."""
        found = self._db.execute(sa.select(farm.c.counts).where(_ROW)).scalar_one_or_none()
        return found or {}

    def paused_queues(self) -> Mapping[Queue, QueuePause]:
        """Queues of which nothing starts."""
        found = self._db.execute(_PAUSED_QUEUES).scalar_one_or_none()
        return {
            Queue(name): QueuePause(
                reason=one["reason"], since=datetime.fromisoformat(one["since"])
            )
            for name, one in (found or {}).items()
        }

    def put_paused_queues(self, paused: Mapping[Queue, QueuePause]) -> None:
        """Replace them."""
        stored = {
            name: {"reason": one.reason, "since": one.since.isoformat()}
            for name, one in paused.items()
        }
        self._db.execute(sa.update(farm).where(_ROW).values(paused_queues=stored))

    def put_counts(self, counts: Mapping[str, Any]) -> None:
        """Replace the counts."""
        self._db.execute(sa.update(farm).where(_ROW).values(counts=dict(counts)))
