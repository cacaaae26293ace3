"""Jobs in the store: every change is a compare-and-set, and a claim is one statement."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.hint import Hint, queue_name
from ffrtmp.domain.job import HELD, TERMINAL, Job, JobRequest, JobStatus
from ffrtmp.domain.media import Engine, Hardware
from ffrtmp.domain.node import Node
from ffrtmp.domain.ranking import Priority, Queue, rank_of
from ffrtmp.domain.retry import FailureClass
from ffrtmp.store.tables import attempts, jobs

_PENDING = jobs.c.status == JobStatus.PENDING
_BEST_FIRST = (jobs.c.rank, jobs.c.sequence_number)
_OWN = [column for column in jobs.c if column.name != "queue_name"]
# Built once: composing a wide SELECT costs more than running it.
_ROWS = sa.select(*_OWN)
_ROWS_WITH_PROGRESS = sa.select(
    *_OWN,
    attempts.c.progress.label("attempt_progress"),
    attempts.c.fps,
    attempts.c.speed,
).outerjoin(attempts, (attempts.c.job_id == jobs.c.id) & (attempts.c.number == jobs.c.attempt))


@dataclass(frozen=True, slots=True, kw_only=True)
class JobFilter:
    """What a list shows; None is any. ``before`` is the sequence number a page starts below."""

    status: JobStatus | None = None
    queue: Queue | None = None
    priority: Priority | None = None
    node_id: str | None = None
    scenario: str | None = None
    since: datetime | None = None
    before: int | None = None


class Jobs:
    """Inserts, finds, claims and moves jobs."""

    def __init__(self, connection: sa.Connection) -> None:
        self._db = connection

    def insert(
        self,
        request: JobRequest,
        *,
        job_id: str,
        max_retries: int,
        trace_parent: str | None,
        now: datetime,
    ) -> Job:
        """A new pending job with the next sequence number."""
        values: dict[str, Any] = {
            "id": job_id,
            "scenario": request.scenario,
            "queue": request.queue,
            "priority": request.priority,
            "rank": request.rank,
            "engine": request.engine,
            "hardware": request.hardware,
            "requires": request.requires,
            "is_stream": request.is_stream,
            "parameters": dict(request.parameters),
            "spec": dict(request.spec),
            "status": JobStatus.PENDING,
            "attempt": 0,
            "failures": 0,
            "max_retries": max_retries,
            "created_at": now,
            "trace_parent": trace_parent,
        }
        inserted = sa.insert(jobs).values(
            queue_name=queue_name(request.queue, request.hardware), **values
        )
        number = self._db.execute(inserted.returning(jobs.c.sequence_number)).scalar_one()
        return Job(sequence_number=number, **values)

    def get(self, job_id: str) -> Job | None:
        """The job of an id."""
        return self._one(_ROWS_WITH_PROGRESS.where(jobs.c.id == job_id))

    def numbered(self, sequence_number: int) -> Job | None:
        """The job of a sequence number."""
        return self._one(_ROWS_WITH_PROGRESS.where(jobs.c.sequence_number == sequence_number))

    def lock(self, job_id: str) -> Job | None:
        """The job of an id, held against other writers until the transaction ends."""
        query = _ROWS.where(jobs.c.id == job_id).with_for_update()
        return self._one(query)

    def numbers(self, job_ids: Sequence[str]) -> dict[str, int]:
        """The sequence number of each of some jobs."""
        query = sa.select(jobs.c.id, jobs.c.sequence_number).where(jobs.c.id.in_(job_ids))
        return {row.id: row.sequence_number for row in self._db.execute(query)}

    def list(self, chosen: JobFilter, *, limit: int) -> Sequence[Job]:
        """Jobs newest first."""
        tests: dict[sa.ColumnElement[Any], object] = {
            jobs.c.status: chosen.status,
            jobs.c.queue: chosen.queue,
            jobs.c.priority: chosen.priority,
            jobs.c.node_id: chosen.node_id,
            jobs.c.scenario: chosen.scenario,
        }
        query = _ROWS_WITH_PROGRESS.where(
            *(column == value for column, value in tests.items() if value is not None)
        )
        if chosen.since is not None:
            query = query.where(jobs.c.created_at >= chosen.since)
        if chosen.before is not None:
            query = query.where(jobs.c.sequence_number < chosen.before)
        return self._all(query.order_by(jobs.c.sequence_number.desc()).limit(limit))

    def claim_best(self, node: Node, *, farm_seconds: float, now: datetime) -> Job | None:
        """Move the best-ranked job that is due and that the node can run to ``running``.

        One statement, so that two claims can never both see a job as pending; PostgreSQL skips
        rows that another claim holds, SQLite has one writer.
        """
        best = (
            sa.select(jobs.c.sequence_number)
            .where(_PENDING, *_is_due(now, farm_seconds))
            .where(jobs.c.queue.in_(node.queues), jobs.c.requires.in_(node.capabilities))
            .where(
                jobs.c.avoid_node_id.is_(None)
                | (jobs.c.avoid_node_id != node.id)
                | (jobs.c.avoid_until <= now)
            )
            .order_by(*_BEST_FIRST)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        claimed = (
            sa.update(jobs)
            .where(jobs.c.sequence_number == best, _PENDING)
            .values(
                status=JobStatus.RUNNING,
                attempt=jobs.c.attempt + 1,
                node_id=node.id,
                node_name=node.name,
                started_at=now,
                retry_at=None,
                avoid_node_id=None,
                avoid_until=None,
                hold_until_farm=None,
            )
            .returning(*_OWN)
        )
        return self._one(claimed)

    def move(self, job: Job, to: JobStatus, **values: object) -> bool:
        """Change the status if the job still is as read (status and attempt)."""
        changed = self._db.execute(
            sa.update(jobs)
            .where(jobs.c.id == job.id, jobs.c.status == job.status)
            .where(jobs.c.attempt == job.attempt)
            .values(status=to, **values)
        )
        return changed.rowcount == 1

    def replace_rank(self, job: Job, queue: Queue, priority: Priority) -> bool:
        """Give a pending job another place; False if it is pending no longer."""
        changed = self._db.execute(
            sa.update(jobs)
            .where(jobs.c.id == job.id, _PENDING)
            .values(
                queue=queue,
                priority=priority,
                rank=rank_of(queue, priority),
                queue_name=queue_name(queue, job.hardware),
            )
        )
        return changed.rowcount == 1

    def release_hold(self, job_id: str) -> None:
        """The node confirmed that it publishes no more: the job may be claimed at once."""
        self._db.execute(
            sa.update(jobs)
            .where(jobs.c.id == job_id, jobs.c.hold_until_farm.is_not(None))
            .values(hold_until_farm=None)
        )

    def pull_in_retries(self, *, latest: datetime, avoid_until: datetime) -> int:
        """Cap ``retry_at`` and what goes with it: a clock that stepped back must not postpone a
        retry for long.

        Only pending jobs have a ``retry_at``. That they are pending is not asked: SQLite would
        look through all of them for it.
        """
        changed = self._db.execute(
            sa.update(jobs)
            .where(jobs.c.retry_at > latest)
            .values(retry_at=latest, avoid_until=avoid_until)
        )
        return changed.rowcount

    def count_due(self, name: str, *, farm_seconds: float, now: datetime, window: int) -> int:
        """Due pending jobs of one Celery queue, counted up to ``window``."""
        due = (
            sa.select(sa.literal(1))
            .where(_PENDING, jobs.c.queue_name == name, *_is_due(now, farm_seconds))
            .limit(window)
            .subquery()
        )
        return self._db.execute(sa.select(sa.func.count()).select_from(due)).scalar_one()

    def hints_due(
        self, name: str, *, farm_seconds: float, now: datetime, limit: int
    ) -> Sequence[Hint]:
        """Hints for the best due jobs of one Celery queue."""
        query = (
            sa.select(jobs.c.id, jobs.c.rank)
            .where(_PENDING, jobs.c.queue_name == name, *_is_due(now, farm_seconds))
            .order_by(*_BEST_FIRST)
            .limit(limit)
        )
        found = self._db.execute(query)
        return [Hint(job_id=row.id, rank=row.rank, queue_name=name) for row in found]

    def best_due(self, *, farm_seconds: float, now: datetime, limit: int) -> Sequence[Job]:
        """The best-ranked jobs that could start now if a node had room."""
        query = (
            _ROWS.where(_PENDING, *_is_due(now, farm_seconds)).order_by(*_BEST_FIRST).limit(limit)
        )
        return self._all(query)

    def count_ahead(self, job: Job) -> int:
        """Pending jobs that run before this one."""
        ahead = sa.tuple_(jobs.c.rank, jobs.c.sequence_number) < sa.tuple_(
            sa.literal(job.rank), sa.literal(job.sequence_number)
        )
        query = sa.select(sa.func.count()).select_from(jobs).where(_PENDING, ahead)
        return self._db.execute(query).scalar_one()

    def count_by_status(self) -> Mapping[str, int]:
        """How many jobs are in each status."""
        query = sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status)
        return {row[0]: row[1] for row in self._db.execute(query)}

    def waiting_by_rank(self) -> Mapping[int, tuple[int, datetime]]:
        """Per rank with pending jobs: how many, and since when the oldest waits."""
        query = (
            sa.select(jobs.c.rank, sa.func.count(), sa.func.min(jobs.c.created_at))
            .where(_PENDING)
            .group_by(jobs.c.rank)
        )
        return {rank: (count, oldest) for rank, count, oldest in self._db.execute(query)}

    def running_by_rank(self) -> Mapping[int, int]:
        """Per rank: how many jobs hold a lease."""
        query = (
            sa.select(jobs.c.rank, sa.func.count())
            .where(jobs.c.status.in_(HELD))
            .group_by(jobs.c.rank)
        )
        return {row[0]: row[1] for row in self._db.execute(query)}

    def finished_before(self, moment: datetime, *, limit: int) -> Sequence[str]:
        """Ids of old finished jobs, held until the transaction ends: none is retried meanwhile."""
        query = (
            sa.select(jobs.c.id)
            .where(jobs.c.completed_at < moment, jobs.c.status.in_(TERMINAL))
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        return self._db.execute(query).scalars().all()

    def delete(self, job_ids: Sequence[str]) -> None:
        """Remove jobs."""
        self._db.execute(sa.delete(jobs).where(jobs.c.id.in_(job_ids)))

    def _one(self, query: sa.Executable) -> Job | None:
        row = self._db.execute(query).one_or_none()
        return None if row is None else _job(row)

    def _all(self, query: sa.Executable) -> Sequence[Job]:
        return [_job(row) for row in self._db.execute(query)]


def _is_due(now: datetime, farm_seconds: float) -> tuple[sa.ColumnElement[bool], ...]:
    return (
        jobs.c.retry_at.is_(None) | (jobs.c.retry_at <= now),
        jobs.c.hold_until_farm.is_(None) | (jobs.c.hold_until_farm <= farm_seconds),
    )


def _job(row: sa.Row[Any]) -> Job:
    values = dict(row._mapping)
    status = JobStatus(values["status"])
    said = values.pop("attempt_progress", None) or 0.0
    values["progress"] = {JobStatus.COMPLETED: 1.0, JobStatus.PENDING: 0.0}.get(status, said)
    fps, speed = values.pop("fps", None), values.pop("speed", None)
    values["fps"], values["speed"] = (fps, speed) if status in HELD else (None, None)
    reason = values["failure_reason"]
    return Job(
        **values
        | {
            "status": status,
            "queue": Queue(values["queue"]),
            "priority": Priority(values["priority"]),
            "engine": Engine(values["engine"]),
            "hardware": Hardware(values["hardware"]),
            "failure_reason": FailureClass(reason) if reason else None,
        }
    )
