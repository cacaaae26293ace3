"""Raising jobs that have waited long, where the policy says so."""

from datetime import datetime

from ffrtmp.domain.ageing import step_seconds
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.ranking import BEST_RANK, WORST_RANK
from ffrtmp.services.context import Context
from ffrtmp.store.engine import Transaction

HEADS_CONSIDERED = 500
"""Of each rank and need."""


class Ageing:
    """One rank up for each share of ``max_wait_seconds``; nothing where that is None."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run_once(self) -> int:
        """Raise whoever is due, from the worst rank on; how many steps were made."""
        max_wait = self._context.policy.max_wait_seconds
        if max_wait is None:
            return 0
        with self._context.store.write() as tx:
            farm_seconds = tx.clock.read().seconds
            needs = tx.backlog.needs()
            ranks = range(WORST_RANK, BEST_RANK, -1)
            now = self._context.now()
            return sum(
                _raise(tx, rank, need, max_wait, farm_seconds, now)
                for rank in ranks
                for need in needs
            )


def _raise(
    tx: Transaction,
    rank: int,
    need: str,
    max_wait_seconds: float,
    farm_seconds: float,
    now: datetime,
) -> int:
    raised = tx.jobs.raise_waiting(
        rank,
        need,
        step_seconds=step_seconds(max_wait_seconds),
        farm_seconds=farm_seconds,
        heads=HEADS_CONSIDERED,
    )
    for job_id, to in raised:
        tx.events.append(Event(kind=EventKind.JOB_RAISED, at=now, job_id=job_id, data={"rank": to}))
    return len(raised)
