"""Jobs in the store: every change is a compare-and-set, and a claim is one statement."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.device import Device
from ffrtmp.domain.hint import queue_name
from ffrtmp.domain.job import HELD, TERMINAL, Job, JobRequest, JobStatus
from ffrtmp.domain.media import Engine, Hardware
from ffrtmp.domain.node import Node
from ffrtmp.domain.placement import place_of
from ffrtmp.domain.ranking import Priority, Queue, rank_of
from ffrtmp.domain.retry import FailureClass
from ffrtmp.store.tables import attempts, jobs

PENDING = jobs.c.status == JobStatus.PENDING
BEST_FIRST = (jobs.c.rank, jobs.c.sequence_number)
_OWN = [column for column in jobs.c if column.name != "queue_name"]
# Built once: composing a wide SELECT costs more than running it.
ROWS = sa.select(*_OWN)
_RATES = ("fps", "speed", "bits_per_second", "dropped_frames")
"""What an attempt says of itself while it runs."""
_WITH_PROGRESS = sa.select(
    *_OWN,
    attempts.c.progress.label("attempt_progress"),
    *(attempts.c[name] for name in _RATES),
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
    owner: str | None = None
    before: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """A free slot of a device, and which jobs it is for.

    ``left_to_gpus`` are needs that some GPU with room meets as well: such a job is only taken once
    it has waited ``gpu_patience_seconds``. ``better_than`` is a place (rank, sequence number) that
    a job must be ahead of.
    """

    node: Node
    device: Device
    queues: Collection[Queue]
    left_to_gpus: Collection[str] = ()
    gpu_patience_seconds: float = 0.0
    better_than: tuple[int, int] | None = None


class Jobs:
    """Inserts, finds, claims and moves jobs."""

    def __init__(self, connection: sa.Connection) -> None:
        self._db = connection

    def insert(
        self,
        request: JobRequest,
        *,
        job_id: str,
        owner: str,
        max_retries: int,
        trace_parent: str | None,
        farm_seconds: float,
        now: datetime,
    ) -> Job:
        """A new pending job with the next sequence number."""
        values: dict[str, Any] = {
            "id": job_id,
            "scenario": request.scenario,
            "queue": request.queue,
            "priority": request.priority,
            "rank": request.rank,
            "base_rank": request.rank,
            "owner": owner,
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
            "waiting_farm": farm_seconds,
        }
        inserted = sa.insert(jobs).values(
            queue_name=queue_name(request.queue, request.hardware), **values
        )
        number = self._db.execute(inserted.returning(jobs.c.sequence_number)).scalar_one()
        return Job(sequence_number=number, **values)

    def get(self, job_id: str) -> Job | None:
        """The job of an id."""
        return self._one(_WITH_PROGRESS.where(jobs.c.id == job_id))

    def numbered(self, sequence_number: int) -> Job | None:
        """The job of a sequence number."""
        return self._one(_WITH_PROGRESS.where(jobs.c.sequence_number == sequence_number))

    def lock(self, job_id: str) -> Job | None:
        """The job of an id, held against other writers until the transaction ends."""
        query = ROWS.where(jobs.c.id == job_id).with_for_update()
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
            jobs.c.owner: chosen.owner,
        }
        query = _WITH_PROGRESS.where(
            *(column == value for column, value in tests.items() if value is not None)
        )
        if chosen.since is not None:
            query = query.where(jobs.c.created_at >= chosen.since)
        if chosen.before is not None:
            query = query.where(jobs.c.sequence_number < chosen.before)
        return self._all(query.order_by(jobs.c.sequence_number.desc()).limit(limit))

    def claim_best(self, offer: Offer, *, farm_seconds: float, now: datetime) -> Job | None:
        """Move the best-ranked due job that the offered slot can run to ``running``.

        One statement, so that two claims can never both see a job as pending; PostgreSQL skips
        rows that another claim holds, SQLite has one writer.
        """
        best = (
            sa.select(jobs.c.sequence_number)
            .where(PENDING, *is_due(now, farm_seconds))
            .where(*_is_for(offer, farm_seconds=farm_seconds, now=now))
            .order_by(*BEST_FIRST)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        claimed = (
            sa.update(jobs)
            .where(jobs.c.sequence_number == best, PENDING)
            .values(
                status=JobStatus.RUNNING,
                attempt=jobs.c.attempt + 1,
                node_id=offer.node.id,
                node_name=offer.node.name,
                started_at=now,
                retry_at=None,
                avoid_until=None,
                hold_until_farm=None,
                room_made_farm=None,
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

    def replace_rank(
        self, job: Job, queue: Queue, priority: Priority, *, farm_seconds: float
    ) -> bool:
        """Give a pending job another place; False if it is pending no longer.

        Lowered, it waits anew; raised, it keeps what waiting has earned it.
        """
        base = rank_of(queue, priority)
        is_lowered = base > job.base_rank
        changed = self._db.execute(
            sa.update(jobs)
            .where(jobs.c.id == job.id, PENDING)
            .values(
                queue=queue,
                priority=priority,
                rank=base if is_lowered else min(base, job.rank),
                base_rank=base,
                waiting_farm=farm_seconds if is_lowered else job.waiting_farm,
                queue_name=queue_name(queue, job.hardware),
            )
        )
        return changed.rowcount == 1

    def raise_waiting(
        self, rank: int, need: str, *, step_seconds: float, farm_seconds: float, heads: int
    ) -> Sequence[tuple[str, int]]:
        """Move those of the first ``heads`` pending jobs of a rank and need that have waited long
        enough one rank up; id and new rank of each.

        Those behind them cannot start before them, so nobody has to look at all of them.
        """
        asked = {
            "of_rank": rank,
            "next_rank": rank - 1,
            "need": need,
            "heads": heads,
            "step_seconds": step_seconds,
            "farm_seconds": farm_seconds,
        }
        raised = self._db.execute(_RAISE, asked)
        return [(job_id, rank - 1) for job_id in raised.scalars()]

    def note_room_made(self, job: Job, *, farm_seconds: float) -> bool:
        """Somebody makes room for it; False if it is pending no longer."""
        changed = self._db.execute(
            sa.update(jobs).where(jobs.c.id == job.id, PENDING).values(room_made_farm=farm_seconds)
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

    def count_by_status(self) -> Mapping[str, int]:
        """How many jobs are in each status."""
        query = sa.select(jobs.c.status, sa.func.count()).group_by(jobs.c.status)
        return {row[0]: row[1] for row in self._db.execute(query)}

    def count_pending(self, owner: str, *, most: int) -> int:
        """How many jobs of an owner wait, counted up to ``most``."""
        waiting = sa.select(sa.literal(1)).where(jobs.c.owner == owner, PENDING).limit(most)
        return int(
            self._db.execute(
                sa.select(sa.func.count()).select_from(waiting.subquery())
            ).scalar_one()
        )

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
        return None if row is None else job_of(row)

    def _all(self, query: sa.Executable) -> Sequence[Job]:
        return [job_of(row) for row in self._db.execute(query)]


def _raise() -> sa.UpdateBase:
    of_rank = sa.bindparam("of_rank", type_=sa.Integer)
    first = (
        sa.select(jobs.c.sequence_number)
        .where(PENDING, jobs.c.rank == of_rank, jobs.c.requires == sa.bindparam("need"))
        .order_by(jobs.c.sequence_number)
        .limit(sa.bindparam("heads"))
    )
    waited = sa.bindparam("step_seconds", type_=sa.Float) * (jobs.c.base_rank - of_rank + 1)
    return (
        sa.update(jobs)
        .where(jobs.c.sequence_number.in_(first), PENDING, jobs.c.rank == of_rank)
        .where(jobs.c.waiting_farm + waited <= sa.bindparam("farm_seconds"))
        .values(rank=sa.bindparam("next_rank"))
        .returning(jobs.c.id)
    )


_RAISE = _raise()


def is_due(
    now: datetime | sa.BindParameter[datetime], farm_seconds: float | sa.BindParameter[float]
) -> tuple[sa.ColumnElement[bool], ...]:
    """That a pending job may start, as conditions."""
    return (
        jobs.c.retry_at.is_(None) | (jobs.c.retry_at <= now),
        jobs.c.hold_until_farm.is_(None) | (jobs.c.hold_until_farm <= farm_seconds),
    )


def _is_for(
    offer: Offer, *, farm_seconds: float, now: datetime
) -> Sequence[sa.ColumnElement[bool]]:
    node, device = offer.node, offer.device
    has_not_failed_here = ~(
        jobs.c.avoid.contains(f"|{node.id}|", autoescape=True)
        | jobs.c.avoid.contains(f"|{place_of(node.id, device.id)}|", autoescape=True)
    )
    found: list[sa.ColumnElement[bool]] = [
        jobs.c.queue.in_(offer.queues),
        jobs.c.requires.in_(device.capabilities),
        jobs.c.avoid_until.is_(None) | (jobs.c.avoid_until <= now) | has_not_failed_here,
    ]
    if offer.left_to_gpus:
        waited = jobs.c.waiting_farm <= farm_seconds - offer.gpu_patience_seconds
        is_over = waited & (jobs.c.avoid_until.is_(None) | (jobs.c.avoid_until <= now))
        found.append(jobs.c.requires.not_in(offer.left_to_gpus) | is_over)
    if offer.better_than is not None:
        rank, number = offer.better_than
        found.append(place() < sa.tuple_(sa.literal(rank), sa.literal(number)))
    return found


def place() -> sa.Tuple:
    """What decides whose turn it is."""
    return sa.tuple_(jobs.c.rank, jobs.c.sequence_number)


def storable_places(places: Sequence[str]) -> str:
    """Names of nodes and devices as one text that a claim can search."""
    return f"|{'|'.join(places)}|" if places else ""


def job_of(row: sa.Row[Any]) -> Job:
    """The job of a row of ROWS."""
    values = dict(row._mapping)
    status = JobStatus(values["status"])
    said = values.pop("attempt_progress", None) or 0.0
    values["progress"] = {JobStatus.COMPLETED: 1.0, JobStatus.PENDING: 0.0}.get(status, said)
    rates = {name: values.pop(name, None) for name in _RATES}
    values |= rates if status in HELD else dict.fromkeys(_RATES)
    reason = values["failure_reason"]
    return Job(
        **values
        | {
            "status": status,
            "queue": Queue(values["queue"]),
            "priority": Priority(values["priority"]),
            "engine": Engine(values["engine"]),
            "hardware": Hardware(values["hardware"]),
            "avoid": tuple(name for name in values["avoid"].split("|") if name),
            "failure_reason": FailureClass(reason) if reason else None,
        }
    )
