"""Old history goes, in small batches, so that no pass holds the database for long."""

from dataclasses import dataclass
from datetime import timedelta

from ffrtmp.services.context import Context

BATCH = 500
EVENT_BATCH = 5000


@dataclass(frozen=True, slots=True, kw_only=True)
class Removed:
    """What one pass removed."""

    jobs: int
    events: int
    submissions: int


class Retention:
    """Finished jobs with their attempts and logs, events, idempotency keys."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run_once(self) -> Removed:
        """Remove one batch of what is older than the policy keeps."""
        kept = timedelta(seconds=self._context.policy.retention_seconds)
        before = self._context.now() - kept
        with self._context.store.write() as tx:
            old = tx.jobs.finished_before(before, limit=BATCH)
            tx.attempts.delete_of(old)
            tx.jobs.delete(old)
            events = tx.events.delete_before(before, limit=EVENT_BATCH)
            submissions = tx.submissions.delete_before(before, limit=EVENT_BATCH)
        return Removed(jobs=len(old), events=events, submissions=submissions)
