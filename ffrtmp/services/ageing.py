"""Raising jobs that have waited long, where the policy says so."""

from ffrtmp.domain.ageing import step_seconds
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.ranking import BEST_RANK, WORST_RANK
from ffrtmp.services.context import Context

HEADS_PER_RANK = 500


class Ageing:
    """One rank up for each share of ``max_wait_seconds``; nothing where that is None."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run_once(self) -> int:
        """Raise whoever is due, from the worst rank on; how many steps were made."""
        max_wait = self._context.policy.max_wait_seconds
        if max_wait is None:
            return 0
        ranks = range(WORST_RANK, BEST_RANK, -1)
        return sum(self._raise(rank, step_seconds(max_wait)) for rank in ranks)

    def _raise(self, rank: int, step: float) -> int:
        with self._context.store.write() as tx:
            raised = tx.jobs.raise_waiting(
                rank,
                step_seconds=step,
                farm_seconds=tx.clock.read().seconds,
                heads=HEADS_PER_RANK,
            )
            now = self._context.now()
            for job_id, to in raised:
                tx.events.append(
                    Event(kind=EventKind.JOB_RAISED, at=now, job_id=job_id, data={"rank": to})
                )
            return len(raised)
