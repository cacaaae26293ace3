"""How many jobs may wait: of one owner, and of the whole farm.

A process counts an owner's every ten seconds, every second where they are at the limit, and adds
what it takes itself in between. So other processes of the API may together take more than the
limit by what they take in that time.
"""

import threading
from collections.abc import Callable

from ffrtmp.domain.errors import QueueFull
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.tally import Tally
from ffrtmp.services.context import Context
from ffrtmp.store.engine import Transaction

RETRY_SECONDS = 30.0
MAX_OWNERS = 10_000


class Quota:
    """Room for pending jobs."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._of_owner: dict[str, Tally] = {}
        self._of_all: Tally | None = None
        self._lock = threading.Lock()

    def take(self, tx: Transaction, owner: str, number: int) -> None:
        """Room for so many more of this owner; QueueFull where there is none, and then nothing
        is taken."""
        rules = self._context.policy
        with self._lock:
            mine = self._tally(
                self._of_owner.get(owner),
                number,
                rules.max_pending_per_owner,
                lambda most: tx.jobs.count_pending(owner, most=most),
            )
            everybody = self._tally(
                self._of_all, number, rules.max_pending, lambda _most: _pending(tx)
            )
            _check(mine, number, rules.max_pending_per_owner, "jobs of this key wait already")
            _check(everybody, number, rules.max_pending, "jobs wait already, of all keys together")
            if len(self._of_owner) > MAX_OWNERS:
                self._of_owner.clear()
            if mine is not None:
                self._of_owner[owner] = mine.plus(number)
            self._of_all = everybody.plus(number) if everybody is not None else None

    def _tally(
        self, last: Tally | None, number: int, limit: int | None, count: Callable[[int], int]
    ) -> Tally | None:
        if limit is None:
            return None
        now = self._context.now()
        if last is None or last.is_stale(now, is_full=last.known + number > limit):
            return Tally(counted=count(limit), at=now)
        return last


def _check(tally: Tally | None, number: int, limit: int | None, what: str) -> None:
    if tally is not None and limit is not None and tally.known + number > limit:
        raise QueueFull(
            f"{tally.known} {what}, at most {limit} may; {number} more have no room",
            retry_after_seconds=RETRY_SECONDS,
        )


def _pending(tx: Transaction) -> int:
    # As control counted them last: nobody counts millions for a submit.
    jobs = tx.clock.counts().get("jobs", {})
    return int(jobs.get(JobStatus.PENDING, 0))
