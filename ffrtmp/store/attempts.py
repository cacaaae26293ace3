"""Attempts in the store: leases, progress, history and logs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.attempt import (
    Attempt,
    AttemptProgress,
    AttemptState,
    Order,
    Outcome,
    Pause,
)
from ffrtmp.domain.locations import is_local
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.occupancy import Taken
from ffrtmp.domain.preemption import Running
from ffrtmp.domain.ranking import Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.store.tables import IS_ENDED, attempt_logs, attempts, jobs

_LIVE = attempts.c.state != IS_ENDED
_SLOT = (attempts.c.node_id, attempts.c.device, attempts.c.is_reserved)
# Built once: composing it costs more than running it.
_TAKEN = (
    sa.select(*_SLOT, sa.func.count()).where(_LIVE, attempts.c.pause.is_(None)).group_by(*_SLOT)
)
_PLACE = ("rank", "sequence_number")


@dataclass(frozen=True, slots=True, kw_only=True)
class Suspended:
    """An attempt that made room, and its job's place: rank and sequence number."""

    attempt: Attempt
    place: tuple[int, int]


class Attempts:
    """Opens, renews, ends and shows attempts."""

    def __init__(self, connection: sa.Connection) -> None:
        self._db = connection

    def insert(self, attempt: Attempt) -> None:
        """Open a lease; IntegrityError where the job has a live one."""
        self._db.execute(sa.insert(attempts).values(asdict(attempt) | {"argv": []}))

    def get(self, job_id: str, number: int) -> Attempt | None:
        """One attempt of a job."""
        return self._one(_of(job_id, number))

    def lock(self, job_id: str, number: int) -> Attempt | None:
        """The same, held until the transaction ends: its node's heartbeats, which lock no job,
        cannot renew its lease meanwhile. Lock the job first where both are needed."""
        return self._one(_of(job_id, number), is_held=True)

    def of_claim(self, node_id: str, claim_id: str) -> Attempt | None:
        """The attempt that a claim was given."""
        return self._one((attempts.c.node_id == node_id) & (attempts.c.claim_id == claim_id))

    def of_job(self, job_id: str) -> Sequence[Attempt]:
        """A job's attempts, first to last."""
        query = sa.select(attempts).where(attempts.c.job_id == job_id)
        return self._all(query.order_by(attempts.c.number))

    def live_on(self, node_id: str) -> Sequence[Attempt]:
        """The leases a node holds."""
        return self._all(sa.select(attempts).where(attempts.c.node_id == node_id, _LIVE))

    def count_live(self, node_id: str) -> int:
        """How many leases a node holds."""
        query = sa.select(sa.func.count()).select_from(attempts)
        return self._db.execute(query.where(attempts.c.node_id == node_id, _LIVE)).scalar_one()

    def taken(self, node_ids: Collection[str] | None = None) -> Sequence[Taken]:
        """The slots that are taken, of some nodes or of all; suspended attempts take none."""
        query = _TAKEN if node_ids is None else _TAKEN.where(attempts.c.node_id.in_(node_ids))
        return [
            Taken(node_id=row[0], device=row[1], is_reserved=row[2], count=row[3])
            for row in self._db.execute(query)
        ]

    def suspended(self, *, node_id: str | None = None, limit: int) -> Sequence[Suspended]:
        """Attempts that made room and wait for it again, best place first."""
        places = (jobs.c.rank, jobs.c.sequence_number)
        query = (
            sa.select(attempts, *places)
            .join(jobs, jobs.c.id == attempts.c.job_id)
            .where(_LIVE, attempts.c.pause == Pause.PREEMPTED)
        )
        if node_id is not None:
            query = query.where(attempts.c.node_id == node_id)
        rows = self._db.execute(query.order_by(*places).limit(limit))
        return [
            Suspended(attempt=_attempt(row, *_PLACE), place=(row.rank, row.sequence_number))
            for row in rows
        ]

    def preemptable(self, *, limit: int) -> Sequence[Running]:
        """Batch attempts that may make room for a live job, the worst rank first."""
        query = (
            sa.select(attempts, jobs.c.rank, jobs.c.sequence_number, jobs.c.spec)
            .join(jobs, jobs.c.id == attempts.c.job_id)
            .where(_LIVE, attempts.c.pause.is_(None), attempts.c.state == AttemptState.RUNNING)
            .where(jobs.c.queue == Queue.BATCH, ~jobs.c.is_stream)
            .order_by(jobs.c.rank.desc(), jobs.c.sequence_number.desc())
            .limit(limit)
        )
        return [
            Running(
                attempt=_attempt(row, *_PLACE, "spec"),
                job_number=row.sequence_number,
                rank=row.rank,
                is_local=is_local(row.spec.get("input")),
            )
            for row in self._db.execute(query)
        ]

    def set_pause(self, attempt: Attempt, pause: Pause | None, *, farm_seconds: float) -> bool:
        """Suspend a running attempt or let it go on, as of now; False if it runs no longer."""
        changed = self._db.execute(
            sa.update(attempts)
            .where(_of(attempt.job_id, attempt.number))
            .where(attempts.c.state == AttemptState.RUNNING)
            .values(pause=pause, moved_farm=farm_seconds)
        )
        return changed.rowcount == 1

    def live(self, *, limit: int) -> Sequence[Attempt]:
        """Leases of the farm, at most ``limit``."""
        return self._all(sa.select(attempts).where(_LIVE).limit(limit))

    def live_by_node(self) -> Mapping[str, Sequence[Attempt]]:
        """Every lease of the farm, by node id."""
        held: dict[str, list[Attempt]] = {}
        for attempt in self._all(sa.select(attempts).where(_LIVE)):
            held.setdefault(attempt.node_id, []).append(attempt)
        return held

    def ended_on(self, node_id: str, *, since_farm: float, limit: int) -> Sequence[Attempt]:
        """A node's attempts that ended after a reading of farm time, newest end first."""
        query = sa.select(attempts).where(
            attempts.c.node_id == node_id, attempts.c.ended_farm > since_farm
        )
        newest_first = (attempts.c.ended_farm.desc(), attempts.c.ended_at.desc())
        return self._all(query.order_by(*newest_first).limit(limit))

    def expired(self, farm_seconds: float, *, limit: int) -> Sequence[Attempt]:
        """Live attempts whose lease ran out at a reading of farm time."""
        query = sa.select(attempts).where(_LIVE, attempts.c.lease_expires_farm <= farm_seconds)
        return self._all(query.order_by(attempts.c.lease_expires_farm).limit(limit))

    def stalled(self, *, limit: int) -> Sequence[Attempt]:
        """Running attempts whose progress has not moved for as long as their queue allows, by
        what heartbeats said: see Attempt.is_stalled."""
        query = sa.select(attempts).where(
            _LIVE,
            attempts.c.state == AttemptState.RUNNING,
            attempts.c.pause.is_(None),
            attempts.c.moved_farm + attempts.c.stall_after_seconds <= attempts.c.listed_farm,
        )
        return self._all(query.limit(limit))

    def renew(self, attempt: Attempt, *, expires_farm: float) -> None:
        """Listed in a heartbeat: the lease lasts on, and nothing was omitted."""
        self._db.execute(
            sa.update(attempts)
            .where(_of(attempt.job_id, attempt.number), _LIVE)
            .values(lease_expires_farm=expires_farm, omissions=0)
        )

    def note_progress(
        self, said: AttemptProgress, *, node_id: str, expires_farm: float, farm_seconds: float
    ) -> Order | None:
        """Renew a listed attempt's lease, keep its progress and say what it is to do; None if it
        is not live there.

        It has moved now only where the mark differs: progress counts, never age.
        """
        unmoved = attempts.c.progress_mark == said.mark
        changed = self._db.execute(
            sa.update(attempts)
            .where(_of(said.job_id, said.number), attempts.c.node_id == node_id, _LIVE)
            .values(
                lease_expires_farm=expires_farm,
                omissions=0,
                listed_farm=farm_seconds,
                moved_farm=sa.case((unmoved, attempts.c.moved_farm), else_=farm_seconds),
                progress=said.progress,
                progress_mark=said.mark,
                phase=said.phase,
                fps=said.fps,
                speed=said.speed,
                bits_per_second=said.bits_per_second,
                dropped_frames=said.dropped_frames,
            )
            .returning(attempts.c.pause)
        )
        row = changed.one_or_none()
        if row is None:
            return None
        return Order.GO_ON if row.pause is None else Order.PAUSE

    def omit(self, attempt: Attempt) -> int:
        """A heartbeat built after the claim does not list it; how many have now."""
        self._db.execute(
            sa.update(attempts)
            .where(_of(attempt.job_id, attempt.number))
            .values(omissions=attempts.c.omissions + 1)
        )
        return attempt.omissions + 1

    def commit(
        self, attempt: Attempt, *, size_bytes: int | None, sha256: str | None, expires_farm: float
    ) -> bool:
        """Accept the file of a running attempt; False if it runs no longer."""
        changed = self._db.execute(
            sa.update(attempts)
            .where(_of(attempt.job_id, attempt.number))
            .where(attempts.c.state == AttemptState.RUNNING)
            .values(
                state=AttemptState.COMMITTING,
                pause=None,
                omissions=0,
                size_bytes=size_bytes,
                sha256=sha256,
                lease_expires_farm=expires_farm,
            )
        )
        return changed.rowcount == 1

    def end(
        self,
        attempt: Attempt,
        outcome: Outcome,
        *,
        now: datetime,
        farm_seconds: float,
        **values: object,
    ) -> bool:
        """Close the lease; False if somebody closed it before."""
        changed = self._db.execute(
            sa.update(attempts)
            .where(_of(attempt.job_id, attempt.number), _LIVE)
            .values(
                state=AttemptState.ENDED,
                pause=None,
                outcome=outcome,
                ended_at=now,
                ended_farm=farm_seconds,
                **values,
            )
        )
        return changed.rowcount == 1

    def committed_hashes(self, job_id: str) -> Sequence[str]:
        """What attempts of a job committed so far."""
        query = sa.select(attempts.c.sha256).where(
            attempts.c.job_id == job_id, attempts.c.sha256.is_not(None)
        )
        return [sha for sha in self._db.execute(query.distinct()).scalars() if sha]

    def append_log(self, job_id: str, number: int, *, offset: int, text: str) -> None:
        """Continue a log that is ``offset`` characters long; anything else is ignored.

        The attempt must be locked: of two that begin its log at once one would fail.
        """
        if offset == 0:
            known = self._db.execute(sa.select(attempt_logs.c.length).where(_log(job_id, number)))
            if known.first() is None:
                self.put_log(job_id, number, text)
            return
        self._db.execute(
            sa.update(attempt_logs)
            .where(_log(job_id, number), attempt_logs.c.length == offset)
            .values(length=offset + len(text), text=attempt_logs.c.text + _storable(text))
        )

    def put_log(self, job_id: str, number: int, text: str) -> None:
        """The whole log, in place of what was there."""
        values = {"length": len(text), "text": _storable(text)}
        changed = self._db.execute(
            sa.update(attempt_logs).where(_log(job_id, number)).values(**values)
        )
        if changed.rowcount == 0:
            self._db.execute(sa.insert(attempt_logs).values(job_id=job_id, number=number, **values))

    def log(self, job_id: str, number: int) -> str | None:
        """The kept log of one attempt."""
        query = sa.select(attempt_logs.c.text).where(_log(job_id, number))
        return self._db.execute(query).scalar_one_or_none()

    def log_length(self, job_id: str, number: int) -> int | None:
        """How many characters of one attempt's log have come; None without any."""
        query = sa.select(attempt_logs.c.length).where(_log(job_id, number))
        return self._db.execute(query).scalar_one_or_none()

    def delete_of(self, job_ids: Sequence[str]) -> None:
        """Remove the attempts and logs of jobs."""
        self._db.execute(sa.delete(attempt_logs).where(attempt_logs.c.job_id.in_(job_ids)))
        self._db.execute(sa.delete(attempts).where(attempts.c.job_id.in_(job_ids)))

    def _one(self, which: sa.ColumnElement[bool], *, is_held: bool = False) -> Attempt | None:
        query = sa.select(attempts).where(which)
        row = self._db.execute(query.with_for_update() if is_held else query).one_or_none()
        return None if row is None else _attempt(row)

    def _all(self, query: sa.Select[Any]) -> Sequence[Attempt]:
        return [_attempt(row) for row in self._db.execute(query)]


def _of(job_id: str, number: int) -> sa.ColumnElement[bool]:
    return (attempts.c.job_id == job_id) & (attempts.c.number == number)


def _log(job_id: str, number: int) -> sa.ColumnElement[bool]:
    return (attempt_logs.c.job_id == job_id) & (attempt_logs.c.number == number)


def _storable(text: str) -> str:
    """PostgreSQL keeps no NUL; the length stays as it was."""
    return text.replace("\x00", "\ufffd")


def _attempt(row: sa.Row[Any], *others: str) -> Attempt:
    """``others`` are columns of the row that are not the attempt's."""
    values = {name: value for name, value in row._mapping.items() if name not in others}
    failure, outcome = values["failure_class"], values["outcome"]
    return Attempt(
        **values
        | {
            "state": AttemptState(values["state"]),
            "outcome": Outcome(outcome) if outcome else None,
            "failure_class": FailureClass(failure) if failure else None,
            "hardware": Hardware(values["hardware"]),
            "pause": Pause(values["pause"]) if values["pause"] else None,
            "argv": tuple(values["argv"]),
        }
    )
