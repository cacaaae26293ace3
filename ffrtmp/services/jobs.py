"""What people do with jobs: submit, cancel, retry, move, look."""

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy.exc import IntegrityError

from ffrtmp.domain.access import ANYONE
from ffrtmp.domain.attempt import Attempt, Outcome
from ffrtmp.domain.errors import IdempotencyMismatch, JobStateConflict, NotFound
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.hint import hint_of
from ffrtmp.domain.job import UNCOMMITTED, Job, JobRequest, JobStatus
from ffrtmp.domain.placement import asked_need, takes_any
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.services.context import Context
from ffrtmp.services.endings import Ending, end_attempt
from ffrtmp.services.pauses import Pauses
from ffrtmp.services.preemption import Preemption
from ffrtmp.services.quota import Quota
from ffrtmp.services.room import gpus_with_room
from ffrtmp.store.engine import Transaction
from ffrtmp.store.jobs import JobFilter


@dataclass(frozen=True, slots=True, kw_only=True)
class Idempotency:
    """An owner's promise that two requests are one: its key, and the body's hash."""

    key: str
    body_sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class JobLog:
    """The kept log of one attempt; ``attempt`` is None where nothing ran yet."""

    job: Job
    attempt: int | None
    text: str
    error: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LogMark:
    """What changes whenever a job's log does."""

    status: JobStatus
    attempt: int
    length: int | None


class JobService:
    """Verbs on jobs; a ``reference`` is an id or a sequence number, parsed by the caller."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._pauses = Pauses(context)
        self._preemption = Preemption(context, self._pauses)
        self._quota = Quota(context)

    def submit(
        self,
        requests: Sequence[JobRequest],
        *,
        owner: str = ANYONE.name,
        trace_parent: str | None = None,
        idempotency: Idempotency | None = None,
    ) -> Sequence[Job]:
        """Store all jobs with their first events, or none; then ring, once each. QueueFull where
        too many wait.

        The same idempotency again returns the first jobs; IdempotencyMismatch for another body.
        """
        store = functools.partial(self._stored, requests, owner, trace_parent, idempotency)
        jobs, are_new = self._once(store, idempotency)
        if are_new:
            self._ring_for(jobs)
        return jobs

    def get(self, reference: str | int) -> Job:
        """The job; NotFound if there is none."""
        with self._context.store.read() as tx:
            return _found(tx, reference)

    def list(self, chosen: JobFilter, *, limit: int) -> Sequence[Job]:
        """Jobs newest first."""
        with self._context.store.read() as tx:
            return tx.jobs.list(chosen, limit=limit)

    def numbers(self, job_ids: Sequence[str]) -> dict[str, int]:
        """The sequence number of each of some jobs."""
        if not job_ids:
            return {}
        with self._context.store.read() as tx:
            return tx.jobs.numbers(job_ids)

    def attempts(self, reference: str | int) -> Sequence[Attempt]:
        """A job's attempts, first to last."""
        with self._context.store.read() as tx:
            return tx.attempts.of_job(_found(tx, reference).id)

    def events(self, reference: str | int) -> Sequence[Event]:
        """A job's history, oldest first."""
        with self._context.store.read() as tx:
            return tx.events.of_job(_found(tx, reference).id)

    def log(self, reference: str | int, *, attempt: int | None = None) -> JobLog:
        """The log of one attempt, the last by default; NotFound for one that was not."""
        with self._context.store.read() as tx:
            job = _found(tx, reference)
            number = job.attempt if attempt is None else attempt
            run = tx.attempts.get(job.id, number)
            if run is None and attempt is not None:
                raise NotFound(f"job {job.sequence_number} has no attempt {attempt}")
            text = tx.attempts.log(job.id, number) or ""
        error = run.error if run else job.error
        return JobLog(job=job, attempt=number or None, text=text, error=error)

    def log_since(self, job_id: str, mark: LogMark | None) -> tuple[LogMark, JobLog] | None:
        """The last attempt's log and its mark; None while that is the one given."""
        with self._context.store.read() as tx:
            job = _found(tx, job_id)
            length = tx.attempts.log_length(job.id, job.attempt)
        now = LogMark(status=job.status, attempt=job.attempt, length=length)
        return None if now == mark else (now, self.log(job_id))

    def cancel(self, reference: str | int, *, by: str = ANYONE.name) -> Job:
        """End a pending or running job; canceling twice is once.

        JobStateConflict once it commits (its file may be published already) or has ended.
        """
        with self._context.store.write() as tx:
            job = _locked(tx, reference)
            if job.status is JobStatus.CANCELED:
                return job
            if job.status is not JobStatus.PENDING and job.status not in UNCOMMITTED:
                raise JobStateConflict(f"a job that is {job.status} cannot be canceled")
            node_id = job.node_id if job.status in UNCOMMITTED else None
            self._cancel(tx, job, by)
        if node_id is not None:
            self._context.bell.nudge(node_id)
        return self.get(job.id)

    def retry(self, reference: str | int, *, by: str = ANYONE.name) -> Job:
        """A failed or canceled job again, with a fresh budget and its history kept.

        Retrying twice is once: a job that is pending stays so. JobStateConflict otherwise.
        """
        with self._context.store.write() as tx:
            job = _locked(tx, reference)
            if job.status is JobStatus.PENDING:
                return job
            if job.status not in (JobStatus.FAILED, JobStatus.CANCELED):
                raise JobStateConflict(f"a job that is {job.status} cannot be retried")
            tx.jobs.move(
                job,
                JobStatus.PENDING,
                failures=0,
                retry_at=None,
                rank=job.base_rank,
                waiting_farm=self._context.farm_seconds(tx),
                requires=asked_need(job.hardware, job.requires),
                avoid="",
                avoid_until=None,
                completed_at=None,
                started_at=None,
                node_id=None,
                node_name=None,
                error=None,
                failure_reason=None,
            )
            tx.events.append(self._event(EventKind.JOB_RETRIED, job, was=job.status, by=by))
        job = self.get(job.id)
        self._ring_for([job])
        return job

    def pause(self, reference: str | int, *, by: str = ANYONE.name) -> Job:
        """Stop a running file encode where it is, its slot given to others; twice is once.

        JobStateConflict for a stream, and for a job that does not run.
        """
        with self._context.store.write() as tx:
            attempt = self._pauses.pause(tx, _locked(tx, reference), by=by)
        self._context.bell.nudge(attempt.node_id)
        return self.get(attempt.job_id)

    def resume(self, reference: str | int, *, by: str = ANYONE.name) -> Job:
        """Let a paused job go on, at once or as soon as its node has a slot; twice is once."""
        with self._context.store.write() as tx:
            # The node before the job, as claims do it: they may give the same slot away.
            node_id = _found(tx, reference).node_id
            if node_id is not None:
                tx.nodes.lock(node_id)
            attempt = self._pauses.resume(tx, _locked(tx, reference), by=by)
        return self.get(attempt.job_id)

    def reprioritize(
        self,
        reference: str | int,
        *,
        queue: Queue | None,
        priority: Priority | None,
        by: str = ANYONE.name,
    ) -> Job:
        """Another place for a pending job, twice is once; JobStateConflict for any other."""
        with self._context.store.write() as tx:
            job = _locked(tx, reference)
            to_queue, to_priority = queue or job.queue, priority or job.priority
            farm_seconds = self._context.farm_seconds(tx)
            if not tx.jobs.replace_rank(job, to_queue, to_priority, farm_seconds=farm_seconds):
                raise JobStateConflict(f"a job that is {job.status} has no place to change")
            if (to_queue, to_priority) == (job.queue, job.priority):
                return job
            said = {"queue": to_queue, "to": to_priority, "by": by}
            tx.events.append(self._event(EventKind.JOB_REPRIORITIZED, job, **said))
        job = self.get(job.id)
        self._ring_for([job])
        return job

    def _once(
        self,
        store: Callable[[], tuple[Sequence[Job], bool]],
        idempotency: Idempotency | None,
    ) -> tuple[Sequence[Job], bool]:
        try:
            return store()
        except IntegrityError:
            if idempotency is None:
                raise
            # Two requests under one key at once: the loser finds the winner's jobs.
            return store()

    def _stored(
        self,
        requests: Sequence[JobRequest],
        owner: str,
        trace_parent: str | None,
        idempotency: Idempotency | None,
    ) -> tuple[Sequence[Job], bool]:
        with self._context.store.write() as tx:
            earlier = _earlier(tx, owner, idempotency) if idempotency else None
            if earlier is not None:
                return earlier, False
            self._quota.take(tx, owner, len(requests))
            jobs = [self._insert(tx, request, owner, trace_parent) for request in requests]
            if idempotency:
                tx.submissions.remember(
                    owner=owner,
                    key=idempotency.key,
                    body_sha256=idempotency.body_sha256,
                    job_ids=[job.id for job in jobs],
                    now=self._context.now(),
                )
            return jobs, True

    def _insert(
        self, tx: Transaction, request: JobRequest, owner: str, trace_parent: str | None
    ) -> Job:
        default = self._context.policy.max_retries
        job = tx.jobs.insert(
            request,
            job_id=self._context.new_id(),
            owner=owner,
            max_retries=default if request.max_retries is None else request.max_retries,
            trace_parent=trace_parent,
            farm_seconds=self._context.farm_seconds(tx),
            now=self._context.now(),
        )
        tx.events.append(self._event(EventKind.JOB_SUBMITTED, job, rank=job.rank, by=owner))
        return job

    def _cancel(self, tx: Transaction, job: Job, by: str) -> None:
        now = self._context.now()
        hold: float | None = job.hold_until_farm
        if job.status in UNCOMMITTED:
            attempt = tx.attempts.lock(job.id, job.attempt)
            if attempt is not None:
                ending = Ending(outcome=Outcome.CANCELED, error="canceled")
                end_attempt(self._context, tx, job, attempt, ending)
                hold = attempt.lease_expires_farm if job.is_stream else None
        tx.jobs.move(job, JobStatus.CANCELED, completed_at=now, hold_until_farm=hold, retry_at=None)
        tx.events.append(self._event(EventKind.JOB_CANCELED, job, was=job.status, by=by))

    def _ring_for(self, jobs: Sequence[Job]) -> None:
        """A job that may run on a GPU with room is rung there: GPUs come first."""
        gpus: Sequence[str] = ()
        if any(takes_any(job.requires) for job in jobs):
            with self._context.store.read() as tx:
                gpus = gpus_with_room(tx)
        for job in jobs:
            self._context.bell.ring(hint_of(job, on_gpu=job.requires in gpus))
        if any(job.queue is Queue.LIVE for job in jobs):
            self._preemption.run_once()

    def _event(self, kind: EventKind, job: Job, **data: object) -> Event:
        return Event(kind=kind, at=self._context.now(), job_id=job.id, data=data)


def _found(tx: Transaction, reference: str | int) -> Job:
    job = tx.jobs.numbered(reference) if isinstance(reference, int) else tx.jobs.get(reference)
    if job is None:
        raise NotFound(f"there is no job {reference}")
    return job


def _locked(tx: Transaction, reference: str | int) -> Job:
    job = tx.jobs.lock(_found(tx, reference).id)
    if job is None:
        raise NotFound(f"there is no job {reference}")
    return job


def _earlier(tx: Transaction, owner: str, idempotency: Idempotency) -> Sequence[Job] | None:
    found = tx.submissions.find(owner=owner, key=idempotency.key)
    if found is None:
        return None
    body_sha256, job_ids = found
    if body_sha256 != idempotency.body_sha256:
        raise IdempotencyMismatch(
            "this Idempotency-Key was used with another body; take a new key",
            field="Idempotency-Key",
        )
    return [_found(tx, job_id) for job_id in job_ids]
