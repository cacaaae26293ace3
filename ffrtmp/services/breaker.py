"""Setting aside a node that fails whatever it is given."""

from collections import Counter
from collections.abc import Mapping

from ffrtmp.domain.attempt import Attempt
from ffrtmp.domain.breaker import failures_in_a_row
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.services.context import Context

ATTEMPTS_CONSIDERED = 100
MAX_REASON_LENGTH = 255


class Breaker:
    """Judges a node after each failure that may be its own."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def judge(self, node_id: str) -> bool:
        """Drain the node if enough different jobs failed there in a row, True if it now is.

        The jobs get the failures back: they were the node's. An undrain begins a new row.
        """
        failed = self._set_aside(node_id)
        if not failed:
            return False
        self._context.bell.nudge(node_id)
        for job_id, count in failed.items():
            self._give_back(job_id, count, node_id)
        return True

    def _set_aside(self, node_id: str) -> Mapping[str, int]:
        """How often each job failed in the row that sets the node aside; none where it stays."""
        needed = self._context.policy.set_aside_after
        if not needed:
            return {}
        with self._context.store.write() as tx:
            node = tx.nodes.lock(node_id)
            if node is None or node.is_draining:
                return {}
            ended = tx.attempts.ended_on(
                node_id, since_farm=node.trusted_farm, limit=ATTEMPTS_CONSIDERED
            )
            failures = failures_in_a_row(ended)
            jobs = Counter(attempt.job_id for attempt in failures)
            if len(jobs) < needed:
                return {}
            reason = _reason(len(jobs), failures[0])
            tx.nodes.set_draining(node_id, is_draining=True, reason=reason)
            said = {"name": node.name, "reason": reason}
            tx.events.append(
                Event(
                    kind=EventKind.NODE_DRAINING,
                    at=self._context.now(),
                    node_id=node_id,
                    data=said,
                )
            )
            return jobs

    def _give_back(self, job_id: str, count: int, node_id: str) -> None:
        """A transaction of its own for each job: two that lock many jobs could wait in a ring."""
        with self._context.store.write() as tx:
            job = tx.jobs.lock(job_id)
            if job is None or job.status.is_terminal or not job.failures:
                return
            left = max(0, job.failures - count)
            tx.jobs.move(job, job.status, failures=left)
            tx.events.append(
                Event(
                    kind=EventKind.JOB_FAILURES_FORGIVEN,
                    at=self._context.now(),
                    job_id=job_id,
                    node_id=node_id,
                    data={"failures": left},
                )
            )


def _reason(jobs: int, last: Attempt) -> str:
    said = f"set aside: {jobs} different jobs in a row failed here, {last.failure_class}"
    return f"{said}: {last.error}"[:MAX_REASON_LENGTH] if last.error else said
