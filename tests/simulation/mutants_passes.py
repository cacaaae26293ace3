"""Farms whose reconcile pass, or whose rules of ending and trying again, break one promise each."""

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.attempt import Attempt, AttemptState
from ffrtmp.domain.hint import Hint
from ffrtmp.domain.job import Job
from ffrtmp.domain.ranking import Queue
from ffrtmp.domain.retry import Retry, RetryPolicy
from ffrtmp.services import endings
from ffrtmp.services.reconciler import Reconciler
from ffrtmp.services.topup import TopUp
from ffrtmp.store.attempts import Attempts
from ffrtmp.store.clock import ClockRow
from ffrtmp.store.engine import Transaction
from ffrtmp.store.tables import attempts, jobs
from tests.simulation.mutant import Patch, nothing
from tests.simulation.node import SimNode
from tests.simulation.world import World


def no_top_up(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A lost hint stays lost."""
    patch(TopUp, "run_once", nothing)


def rings_once(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """What was pushed before is not pushed again, though the broker lost it."""
    missing = TopUp._missing
    known: set[str] = set()

    def only_new(self: TopUp, queues: Collection[Queue], farm_seconds: float) -> Sequence[Hint]:
        hints = [hint for hint in missing(self, queues, farm_seconds) if hint.job_id not in known]
        known.update(hint.job_id for hint in hints)
        return hints

    patch(TopUp, "_missing", only_new)


def no_stalls(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """What stands still may do so for ever."""
    patch(Reconciler, "_end_stalled", nothing)


def silence_is_a_stall(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """An attempt of which nothing is heard counts as standing still."""

    def stalled(self: Attempts, *, limit: int) -> Sequence[Attempt]:
        seconds = ClockRow(self._db).read().seconds
        query = sa.select(attempts).where(
            attempts.c.state == AttemptState.RUNNING,
            attempts.c.listed_farm.is_not(None),
            attempts.c.moved_farm + attempts.c.stall_after_seconds <= seconds,
        )
        return self._all(query.limit(limit))

    patch(Attempts, "stalled", stalled)
    patch(Attempt, "is_stalled", True)


def release_spends_a_retry(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """What a node gives back counts as a failure."""
    release = endings._give_back

    def spending(tx: Transaction, job: Job, attempt: Attempt, *rest: Any) -> None:
        release(tx, job, attempt, *rest)
        spent = sa.update(jobs).where(jobs.c.id == job.id)
        tx.clock._db.execute(spent.values(failures=jobs.c.failures + 1))

    patch(endings, "_give_back", spending)


def endless_retries(patch: Patch, world: World, nodes: list[SimNode]) -> None:
    """A poison job is tried for ever."""
    patch(RetryPolicy, "decide", lambda *_args, **_said: Retry(delay_seconds=1.0))
