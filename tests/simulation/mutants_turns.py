"""Farms that break one promise each about whose turn it is: devices, pauses, room, canaries."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.attempt import Attempt, AttemptState, Outcome
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.node import Node
from ffrtmp.domain.preemption import Running
from ffrtmp.services import endings
from ffrtmp.services.attempts import AttemptService
from ffrtmp.services.breaker import Breaker
from ffrtmp.services.endings import Ending, end_attempt
from ffrtmp.services.pauses import Pauses
from ffrtmp.services.preemption import Preemption
from ffrtmp.store.attempts import Attempts
from ffrtmp.store.engine import Transaction
from ffrtmp.store.jobs import Jobs, Offer
from ffrtmp.store.tables import attempts, jobs
from tests.simulation.mutant import Patch, nothing
from tests.simulation.node import SimNode
from tests.simulation.world import World


def resumed_without_room(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A suspended attempt goes on whether its slot is free or another's."""
    patch(Pauses, "_has_room", lambda *_args, **_said: True)


def suspended_for_ever(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """What once was suspended never goes on."""
    patch(Pauses, "let_go_on", nothing)


def suspended_is_stalled(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """The stall clock runs on while an attempt is suspended."""
    is_late = attempts.c.claimed_farm + attempts.c.stall_after_seconds <= attempts.c.listed_farm
    stalled = Attempts.stalled

    def too(self: Attempts, *, limit: int) -> Sequence[Attempt]:
        query = sa.select(attempts).where(
            attempts.c.state == AttemptState.RUNNING, attempts.c.pause.is_not(None), is_late
        )
        return [*stalled(self, limit=limit), *self._all(query)]

    patch(Attempts, "stalled", too)
    patch(Attempt, "is_stalled", True)


def preemption_spends_a_retry(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """Who made room for a live job has failed once."""
    give_back = endings._give_back

    def spending(tx: Transaction, job: Job, attempt: Attempt, ending: Ending, *rest: Any) -> None:
        give_back(tx, job, attempt, ending, *rest)
        if ending.outcome is Outcome.PREEMPTED:
            spent = sa.update(jobs).where(jobs.c.id == job.id)
            tx.clock._db.execute(spent.values(failures=jobs.c.failures + 1))

    patch(endings, "_give_back", spending)


def preempted_while_it_commits(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """Whose file is accepted, and perhaps published, makes room as any other."""
    preemptable = Attempts.preemptable

    def any_state(self: Attempts, *, limit: int) -> Sequence[Running]:
        query = (
            sa.select(attempts, jobs.c.rank, jobs.c.sequence_number)
            .join(jobs, jobs.c.id == attempts.c.job_id)
            .where(attempts.c.state == AttemptState.COMMITTING, jobs.c.queue == "batch")
        )
        committing = [
            Running(attempt=found, job_number=row.sequence_number, rank=row.rank, is_local=False)
            for row in self._db.execute(query)
            if (found := self.get(row.job_id, row.number)) is not None
        ]
        return [*committing, *preemptable(self, limit=limit)]

    def yield_slot(
        self: Preemption, tx: Transaction, _live: Job, job: Job, victim: Running
    ) -> bool:
        attempt = tx.attempts.lock(job.id, victim.attempt.number)
        assert attempt is not None
        ending = Ending(outcome=Outcome.PREEMPTED, error="made room")
        return end_attempt(self._context, tx, job, attempt, ending)

    patch(Attempts, "preemptable", any_state)
    patch(Preemption, "_yield_slot", yield_slot)


def streams_preempted(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """Any running attempt makes room, live streams as well."""

    def anybody(self: Attempts, *, limit: int) -> Sequence[Running]:
        query = sa.select(attempts).where(attempts.c.state == AttemptState.RUNNING).limit(limit)
        return [
            Running(attempt=one, job_number=0, rank=8, is_local=False)
            for one in self._all(query)
            if one.pause is None
        ]

    patch(Attempts, "preemptable", anybody)


def gpu_work_on_cpus(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A CPU is given what only a GPU can run."""
    best = Jobs.claim_best

    def of_the_node(self: Jobs, offer: Offer, *, farm_seconds: float, now: datetime) -> Job | None:
        able = (*offer.device.capabilities, "gpu:h264")
        wider = replace(offer, device=replace(offer.device, capabilities=able))
        return best(self, wider, farm_seconds=farm_seconds, now=now)

    patch(Jobs, "claim_best", of_the_node)


def canary_not_noticed(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """What is set aside stays so, whatever it completes."""
    patch(Breaker, "trust", nothing)


def set_aside_claims_at_will(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """What is set aside may claim as often as it asks."""
    check = AttemptService._check_accepting

    def only_drains(self: Any, tx: Transaction, node: Node, *rest: Any) -> None:
        if node.is_offline or (node.is_draining and not node.set_aside):
            check(self, tx, node, *rest)

    patch(AttemptService, "_check_accepting", only_drains)


def queue_pause_ignored(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """Jobs of a paused queue start."""
    offered = AttemptService._offer

    def every(self: Any, tx: Transaction, node: Any, device: Any, asked: Any) -> Offer:
        offer = offered(self, tx, node, device, asked)
        return offer if asked.is_reserved else replace(offer, queues=node.queues)

    patch(AttemptService, "_offer", every)


def reserve_ignored(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """Slots that are kept for the live queue are given to anybody."""
    patch(Node, "reserved_slots", lambda _node, **_said: 0)


def raised_at_once(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """Waiting raises a job at once."""

    def raise_all(
        self: Jobs, rank: int, *, step_seconds: float, farm_seconds: float, heads: int
    ) -> Sequence[tuple[str, int]]:
        raised = sa.update(jobs).where(jobs.c.status == JobStatus.PENDING, jobs.c.rank == rank)
        found = self._db.execute(raised.values(rank=rank - 1).returning(jobs.c.id))
        return [(job_id, rank - 1) for job_id in found.scalars()]

    patch(Jobs, "raise_waiting", raise_all)
