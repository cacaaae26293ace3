"""What waits in the store, in which order, and how much: questions that change nothing."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

import sqlalchemy as sa

from ffrtmp.domain.hint import Hint
from ffrtmp.domain.job import HELD, Job, JobStatus
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.ranking import Queue
from ffrtmp.store.jobs import BEST_FIRST, PENDING, ROWS, is_due, job_of, place
from ffrtmp.store.tables import jobs


class Backlog:
    """Counts and shows what waits."""

    def __init__(self, connection: sa.Connection) -> None:
        self._db = connection

    def count_due(self, name: str, *, farm_seconds: float, now: datetime, window: int) -> int:
        """Due pending jobs of one Celery queue, counted up to ``window``."""
        asked = {"name": name, "farm_seconds": farm_seconds, "now": now, "window": window}
        return self._db.execute(_COUNT_DUE, asked).scalar_one()

    def hints_due(
        self, name: str, *, farm_seconds: float, now: datetime, limit: int
    ) -> Sequence[Hint]:
        """Hints for the best due jobs of one Celery queue."""
        query = (
            sa.select(jobs.c.id, jobs.c.rank)
            .where(PENDING, jobs.c.queue_name == name, *is_due(now, farm_seconds))
            .order_by(*BEST_FIRST)
            .limit(limit)
        )
        found = self._db.execute(query)
        return [Hint(job_id=row.id, rank=row.rank, queue_name=name) for row in found]

    def best_due(
        self,
        *,
        farm_seconds: float,
        now: datetime,
        limit: int,
        queues: Collection[Queue] = tuple(Queue),
    ) -> Sequence[Job]:
        """The best-ranked jobs of some queues that could start now if a node had room."""
        query = ROWS.where(PENDING, *is_due(now, farm_seconds))
        if len(queues) < len(Queue):
            query = query.where(jobs.c.queue.in_(queues))
        return [job_of(row) for row in self._db.execute(query.order_by(*BEST_FIRST).limit(limit))]

    def needs(self) -> Sequence[str]:
        """What pending jobs require, each once: one look into the index for each."""
        found: list[str] = []
        while True:
            query = sa.select(sa.func.min(jobs.c.requires)).where(PENDING)
            if found:
                query = query.where(jobs.c.requires > found[-1])
            following = self._db.execute(query).scalar_one()
            if following is None:
                return found
            found.append(following)

    def best_due_of(
        self,
        need: str,
        *,
        queue: Queue,
        farm_seconds: float,
        now: datetime,
        limit: int,
    ) -> Sequence[Job]:
        """The best-ranked due jobs of a queue that require this."""
        query = (
            ROWS.where(PENDING, jobs.c.requires == need, *is_due(now, farm_seconds))
            .where(jobs.c.queue == queue)
            .order_by(*BEST_FIRST)
            .limit(limit)
        )
        return [job_of(row) for row in self._db.execute(query)]

    def best_for(
        self,
        requires: Collection[str],
        *,
        queues: Collection[Queue],
        farm_seconds: float,
        now: datetime,
    ) -> tuple[int, int] | None:
        """The best place, rank and sequence number, of the due jobs with one of these needs."""
        query = (
            sa.select(jobs.c.rank, jobs.c.sequence_number)
            .where(PENDING, *is_due(now, farm_seconds))
            .where(jobs.c.queue.in_(queues), jobs.c.requires.in_(requires))
            .order_by(*BEST_FIRST)
            .limit(1)
        )
        row = self._db.execute(query).one_or_none()
        return None if row is None else (row.rank, row.sequence_number)

    def count_ahead(self, job: Job, *, requires: Collection[str], most: int) -> int:
        """Pending jobs with one of these needs that go before this one, counted up to ``most``."""
        ahead = place() < _place_of(job)
        return self._counted(sa.and_(ahead, jobs.c.requires.in_(requires)), most)

    def count_ahead_in_rank(self, job: Job, *, most: int) -> int:
        """Pending jobs of the same rank that go before this one, counted up to ``most``."""
        number = jobs.c.sequence_number < job.sequence_number
        return self._counted(sa.and_(jobs.c.rank == job.rank, number), most)

    def run_seconds(self, scenario: str | None, *, among: int, limit: int) -> Sequence[float]:
        """How long the last completed jobs ran, of one scenario or of all: at most ``limit``, and
        none but the ``among`` that ended last."""
        columns = (jobs.c.status, jobs.c.scenario, jobs.c.started_at, jobs.c.completed_at)
        last = (
            sa.select(*columns)
            .where(jobs.c.completed_at.is_not(None))
            .order_by(jobs.c.completed_at.desc())
            .limit(among)
            .subquery()
        )
        query = sa.select(last.c.started_at, last.c.completed_at).where(
            last.c.status == JobStatus.COMPLETED, last.c.started_at.is_not(None)
        )
        if scenario is not None:
            query = query.where(last.c.scenario == scenario)
        newest = query.order_by(last.c.completed_at.desc()).limit(limit)
        return [(end - start).total_seconds() for start, end in self._db.execute(newest)]

    def waiting_by_rank(self) -> Mapping[tuple[int, Hardware], tuple[int, datetime]]:
        """Per rank and hardware with pending jobs: how many, and since when the oldest waits."""
        query = (
            sa.select(jobs.c.rank, jobs.c.hardware, sa.func.count(), sa.func.min(jobs.c.created_at))
            .where(PENDING)
            .group_by(jobs.c.rank, jobs.c.hardware)
        )
        found = self._db.execute(query)
        return {(rank, Hardware(ask)): (count, oldest) for rank, ask, count, oldest in found}

    def running_by_rank(self) -> Mapping[tuple[int, Hardware], int]:
        """Per rank and hardware: how many jobs hold a lease."""
        query = (
            sa.select(jobs.c.rank, jobs.c.hardware, sa.func.count())
            .where(jobs.c.status.in_(HELD))
            .group_by(jobs.c.rank, jobs.c.hardware)
        )
        return {(row[0], Hardware(row[1])): row[2] for row in self._db.execute(query)}

    def _counted(self, which: sa.ColumnElement[bool], most: int) -> int:
        some = sa.select(sa.literal(1)).where(PENDING, which).limit(most).subquery()
        return self._db.execute(sa.select(sa.func.count()).select_from(some)).scalar_one()


def _place_of(job: Job) -> sa.Tuple:
    return sa.tuple_(sa.literal(job.rank), sa.literal(job.sequence_number))


def _count_due() -> sa.Select[int]:
    moment = is_due(sa.bindparam("now"), sa.bindparam("farm_seconds"))
    due = (
        sa.select(sa.literal(1))
        .where(PENDING, jobs.c.queue_name == sa.bindparam("name"), *moment)
        .limit(sa.bindparam("window"))
        .subquery()
    )
    return sa.select(sa.func.count()).select_from(due)


# Built once: composing it costs more than running it.
_COUNT_DUE = _count_due()
