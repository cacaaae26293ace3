"""Farms with one promise broken each: every one must turn the simulation red."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.attempt import Attempt, AttemptState, Outcome, Report
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.farmclock import FarmClock
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.services import nodes as node_service
from ffrtmp.services.attempts import AttemptService, Claim, Grant
from ffrtmp.services.jobs import JobService
from ffrtmp.services.nodes import Beat
from ffrtmp.services.reconciler import Reconciler
from ffrtmp.store.engine import Transaction
from ffrtmp.store.jobs import Jobs
from ffrtmp.store.tables import jobs
from tests.simulation.node import SimNode, Work
from tests.simulation.world import World

Patch = Callable[[object, str, object], None]
Mutant = Callable[[Patch, World, list[SimNode]], None]


def no_fence(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """Whoever reports is believed, lease or not."""

    def commit(self: AttemptService, job_id: str, number: int, **_said: Any) -> Job:
        return world.farm.jobs.get(job_id)

    def report(self: AttemptService, said: Report) -> Job:
        with world.farm.store.write() as tx:
            job, attempt = tx.jobs.lock(said.job_id), tx.attempts.get(said.job_id, said.number)
            assert job is not None
            assert attempt is not None
            tx.attempts.end(attempt, said.outcome, now=world.now())
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

    def publish_early(self: SimNode, work: Work) -> None:
        if work.sha256:
            world.disk.link(work.grant.job.id, work.sha256)

    patch(SimNode, "publish_early", publish_early)


def job_bound_message(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A claim gives the job that its message names, not the best one."""
    claim, best = AttemptService.claim, Jobs.claim_best
    asked_for: list[str | None] = [None]

    def bound(self: AttemptService, asked: Claim) -> Grant | None:
        hint = world.hints.get(asked.claim_id)
        asked_for[0] = hint.job_id if hint else None
        return claim(self, asked)

    def named(self: Jobs, node: Any, *, farm_seconds: float, now: datetime) -> Job | None:
        if asked_for[0] is None:
            return best(self, node, farm_seconds=farm_seconds, now=now)
        return _take(self, asked_for[0], node.id, must_be_pending=True)

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
            found = tx.jobs.best_due(farm_seconds=seconds, now=world.now(), limit=1)
        if not found or is_inside[0]:
            return claim(self, asked)
        is_inside[0] = True
        for other in nodes:
            if other.name != asked.node_id and other.process and other.process.epoch:
                other.claim_now()
        is_inside[0] = False
        with world.farm.store.write() as tx:
            job = _take(tx.jobs, found[0].id, node.id, must_be_pending=False)
            assert job is not None
            attempt = _attempt(job, node.id, asked, seconds)
            tx.attempts.insert(attempt)
        return Grant(job=job, attempt=attempt, committed_sha256=())

    patch(AttemptService, "claim", split)


def heartbeat_race(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """What one heartbeat does not list is lost, whenever it was built."""

    def note(self: Any, tx: Transaction, node: Any, beat: Beat) -> None:
        listed = {(said.job_id, said.number) for said in beat.attempts}
        for attempt in tx.attempts.live_on(node.id):
            if (attempt.job_id, attempt.number) not in listed:
                self._lose(tx, attempt, "not listed")

    patch(node_service.NodeService, "_note_omissions", note)


def no_farm_time(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """Silence is measured by the wall clock."""

    def since(self: FarmClock, now: datetime, _most: float) -> float:
        return (now - self.last_pass_at).total_seconds()

    def advanced(self: FarmClock, now: datetime, *, max_advance_seconds: float) -> FarmClock:
        gained = (now - self.last_pass_at).total_seconds()
        return FarmClock(
            seconds=self.seconds + gained,
            last_pass_at=now,
            api_beats=self.api_beats,
            beats_seen=self.api_beats,
        )

    patch(FarmClock, "_since_last_pass", since)
    patch(FarmClock, "advanced", advanced)


def no_idempotency(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A repeated submit is a new job."""
    submit = JobService.submit

    def forgetful(self: JobService, requests: Any, **said: Any) -> Sequence[Job]:
        return submit(self, requests, **(said | {"idempotency": None}))

    patch(JobService, "submit", forgetful)


def no_top_up(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A lost hint stays lost."""
    patch(Reconciler, "_top_up", _nothing)


def no_epochs(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A restarted agent keeps the leases it forgot; heartbeats never take them away."""
    patch(node_service.NodeService, "_lose_unnamed", _nothing)
    patch(node_service.NodeService, "_note_omissions", _nothing)
    patch(Reconciler, "_end_stalled", _nothing)


def _nothing(*_said: object) -> int:
    return 0


MUTANTS: Mapping[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        no_fence,
        rename_before_commit,
        job_bound_message,
        select_then_update,
        heartbeat_race,
        no_farm_time,
        no_idempotency,
        no_top_up,
        no_epochs,
    )
}


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
