"""Farms whose claims, submits and publishing break one promise each."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.attempt import Attempt, AttemptState, Outcome, Report
from ffrtmp.domain.errors import StaleLease
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.occupancy import Occupancy
from ffrtmp.services.attempts import AttemptService, Claim, Grant
from ffrtmp.services.jobs import JobService
from ffrtmp.store import jobs as job_store
from ffrtmp.store.engine import Transaction
from ffrtmp.store.jobs import Jobs, Offer
from ffrtmp.store.tables import jobs
from tests.simulation.delivery import Delivery
from tests.simulation.mutant import Patch, nothing
from tests.simulation.node import SimNode
from tests.simulation.work import Work
from tests.simulation.world import World


def no_fence(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """Whoever reports is believed, lease or not."""

    def commit(self: AttemptService, job_id: str, number: int, **_said: Any) -> Job:
        return world.farm.jobs.get(job_id)

    def report(self: AttemptService, said: Report) -> Job:
        with world.farm.store.write() as tx:
            job, attempt = tx.jobs.lock(said.job_id), tx.attempts.get(said.job_id, said.number)
            assert job is not None
            assert attempt is not None
            tx.attempts.end(attempt, said.outcome, now=world.now(), farm_seconds=0.0)
            is_done = said.outcome is Outcome.COMPLETED
            to, kind = (
                (JobStatus.COMPLETED, EventKind.JOB_COMPLETED)
                if is_done
                else (JobStatus.FAILED, EventKind.JOB_FAILED)
            )
            tx.jobs.move(job, to, result={"sha256": said.sha256}, completed_at=world.now())
            tx.events.append(Event(kind=kind, at=world.now(), job_id=job.id, data={}))
        return job

    patch(AttemptService, "commit", commit)
    patch(AttemptService, "report", report)


def rename_before_commit(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """The file is published as soon as it is encoded."""

    def publish_early(self: Delivery, work: Work) -> None:
        if not work.is_stream:
            world.disk.link(work.grant.job.id, work.sha256)

    patch(Delivery, "publish_early", publish_early)


def job_bound_message(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A claim gives the job that its message names, not the best one."""
    claim, best = AttemptService.claim, Jobs.claim_best
    asked_for: list[str | None] = [None]

    def bound(self: AttemptService, asked: Claim) -> Grant | None:
        hint = world.hints.get(asked.claim_id)
        asked_for[0] = hint.job_id if hint else None
        return claim(self, asked)

    def named(self: Jobs, offer: Offer, *, farm_seconds: float, now: datetime) -> Job | None:
        if asked_for[0] is None:
            return best(self, offer, farm_seconds=farm_seconds, now=now)
        return _take(self, asked_for[0], offer.node.id, must_be_pending=True)

    patch(AttemptService, "claim", bound)
    patch(Jobs, "claim_best", named)


def select_then_update(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """The job is chosen in one transaction and taken in the next; others claim in between."""
    claim = AttemptService.claim
    is_inside = [False]

    def split(self: AttemptService, asked: Claim) -> Grant | None:
        node = world.farm.nodes.get(asked.node_id).node
        with world.farm.store.read() as tx:
            seconds = world.farm.context.farm_seconds(tx)
            found = tx.backlog.best_due(farm_seconds=seconds, now=world.now(), limit=1)
        if not found or is_inside[0]:
            return claim(self, asked)
        is_inside[0] = True
        for other in nodes:
            if other.name != asked.node_id and other.process and other.process.epoch:
                other.claims.now(other.process)
        is_inside[0] = False
        with world.farm.store.write() as tx:
            job = _take(tx.jobs, found[0].id, node.id, must_be_pending=False)
            assert job is not None
            attempt = _attempt(job, node.id, asked, seconds)
            tx.attempts.insert(attempt)
        return Grant(job=job, attempt=attempt, committed_sha256=())

    patch(AttemptService, "claim", split)


def no_idempotency(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A repeated submit is a new job."""
    submit = JobService.submit

    def forgetful(self: JobService, requests: Any, **said: Any) -> Sequence[Job]:
        return submit(self, requests, **(said | {"idempotency": None}))

    patch(JobService, "submit", forgetful)


def drain_ignored(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A draining node is given work."""
    patch(AttemptService, "_check_accepting", nothing)


def slots_ignored(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A device is given more than it has slots for: late claims are real ones."""
    patch(Occupancy, "free", lambda *_args, **_said: 1)


def hold_ignored(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A stream is given away while its last node may still publish it."""

    def is_due(now: datetime, _farm_seconds: float) -> tuple[sa.ColumnElement[bool], ...]:
        return (jobs.c.retry_at.is_(None) | (jobs.c.retry_at <= now),)

    patch(job_store, "is_due", is_due)


def commit_of_the_dead(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A commit is accepted whoever holds the lease; only the report is fenced."""
    commit = AttemptService.commit

    def unfenced(self: AttemptService, job_id: str, number: int, **said: Any) -> Job:
        try:
            return commit(self, job_id, number, **said)
        except StaleLease:
            return world.farm.jobs.get(job_id)

    patch(AttemptService, "commit", unfenced)


def report_without_commit(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A completed result is accepted though nothing was committed."""
    complete = AttemptService._complete

    def at_once(self: Any, tx: Transaction, job: Job, attempt: Attempt, said: Report) -> None:
        tx.attempts.commit(attempt, size_bytes=1, sha256=said.sha256, expires_farm=0.0)
        tx.jobs.move(job, JobStatus.COMMITTING)
        fresh, now_held = tx.jobs.lock(job.id), tx.attempts.lock(job.id, attempt.number)
        assert fresh is not None
        assert now_held is not None
        complete(self, tx, fresh, now_held, said)

    patch(AttemptService, "_complete", at_once)


def cancel_of_the_committing(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A job whose file may be published already can be canceled."""
    cancel = JobService.cancel

    def always(self: JobService, reference: str | int) -> Job:
        with world.farm.store.write() as tx:
            job = tx.jobs.lock(str(reference))
            if job is not None and job.status is JobStatus.COMMITTING:
                attempt = tx.attempts.lock(job.id, job.attempt)
                assert attempt is not None
                tx.attempts.end(attempt, Outcome.CANCELED, now=world.now(), farm_seconds=0.0)
                tx.jobs.move(job, JobStatus.CANCELED, completed_at=world.now())
                data = {"was": job.status}
                kind = EventKind.JOB_CANCELED
                tx.events.append(Event(kind=kind, at=world.now(), job_id=job.id, data=data))
                return job
        return cancel(self, reference)

    patch(JobService, "cancel", always)


def _take(rows: Jobs, job_id: str, node_id: str, *, must_be_pending: bool) -> Job | None:
    taken = sa.update(jobs).where(jobs.c.id == job_id)
    if must_be_pending:
        taken = taken.where(jobs.c.status == "pending")
    columns = [column for column in jobs.c if column.name != "queue_name"]
    return rows._one(
        taken.values(status="running", attempt=jobs.c.attempt + 1, node_id=node_id).returning(
            *columns
        )
    )


def _attempt(job: Job, node_id: str, asked: Claim, seconds: float) -> Attempt:
    return Attempt(
        job_id=job.id,
        number=job.attempt,
        node_id=node_id,
        node_name=node_id,
        epoch=asked.epoch,
        claim_id=asked.claim_id,
        lease=f"lease of {asked.claim_id}",
        lease_expires_farm=seconds + 45,
        claimed_after=asked.heartbeat_seq,
        omissions=0,
        state=AttemptState.RUNNING,
        started_at=job.created_at,
        moved_farm=seconds,
        stall_after_seconds=60,
    )
