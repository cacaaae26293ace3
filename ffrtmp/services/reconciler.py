"""Beat's loop: what should be, made true again. One pass per call, every step idempotent."""

import logging
from dataclasses import dataclass

from ffrtmp.domain.attempt import Attempt, Outcome
from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.ageing import Ageing
from ffrtmp.services.context import Context
from ffrtmp.services.endings import Ending, end_attempt
from ffrtmp.services.pauses import Pauses
from ffrtmp.services.preemption import Preemption
from ffrtmp.services.topup import TopUp

log = logging.getLogger(__name__)

ENDED_PER_PASS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass did."""

    farm_seconds: float
    expired: int
    stalled: int
    offline: int
    resumed: int
    raised: int
    made_room: int
    hints_pushed: int
    broker_answers: bool


class Reconciler:
    """Leases, silence, stalls, whose turn it is, missing hints."""

    def __init__(self, context: Context) -> None:
        self._context = context
        pauses = Pauses(context)
        self._pauses = pauses
        self._ageing = Ageing(context)
        self._preemption = Preemption(context, pauses)
        self._top_up = TopUp(context)

    def run_once(self) -> Pass:
        """One pass; a second one at the same moment finds nothing left to do."""
        farm_seconds = self._advance()
        expired = self._expire(farm_seconds)
        stalled = self._end_stalled()
        offline = self._mark_offline(farm_seconds)
        resumed = self._pauses.run_once()
        raised = self._ageing.run_once()
        made_room = self._preemption.run_once()
        try:
            pushed, answers = self._top_up.run_once(), True
        except Unavailable as error:
            log.warning("hints not topped up: %s", error)
            pushed, answers = 0, False
        return Pass(
            farm_seconds=farm_seconds,
            expired=expired,
            stalled=stalled,
            offline=offline,
            resumed=resumed,
            raised=raised,
            made_room=made_room,
            hints_pushed=pushed,
            broker_answers=answers,
        )

    def seconds_since_last_pass(self) -> float:
        """Age of the newest pass any process made, by this process's clock."""
        with self._context.store.read() as tx:
            return (self._context.now() - tx.clock.read().last_pass_at).total_seconds()

    def _advance(self) -> float:
        with self._context.store.write() as tx:
            before = tx.clock.read()
            after = before.advanced(
                self._context.now(), max_advance_seconds=self._context.policy.max_advance_seconds
            )
            tx.clock.advance(before, after)
            return tx.clock.read().seconds

    def _expire(self, farm_seconds: float) -> int:
        with self._context.store.read() as tx:
            found = tx.attempts.expired(farm_seconds, limit=ENDED_PER_PASS)
        return sum(self._lose(attempt, farm_seconds) for attempt in found)

    def _lose(self, attempt: Attempt, farm_seconds: float) -> bool:
        ending = Ending(
            outcome=Outcome.NODE_LOST,
            failure=FailureClass.NODE_LOST,
            error=f"node {attempt.node_name} was not heard for "
            f"{self._context.policy.node_timeout_seconds:g} s",
        )
        with self._context.store.write() as tx:
            job = tx.jobs.lock(attempt.job_id)
            fresh = tx.attempts.lock(attempt.job_id, attempt.number)
            if job is None or fresh is None or fresh.lease_expires_farm > farm_seconds:
                return False
            return end_attempt(self._context, tx, job, fresh, ending)

    def _end_stalled(self) -> int:
        with self._context.store.read() as tx:
            found = tx.attempts.stalled(limit=ENDED_PER_PASS)
        return sum(self._stall(attempt) for attempt in found)

    def _stall(self, attempt: Attempt) -> bool:
        ending = Ending(
            outcome=Outcome.FAILED,
            failure=FailureClass.STALLED,
            error=f"no progress for {attempt.stall_after_seconds:g} s "
            f"while {attempt.phase or 'starting'}",
        )
        with self._context.store.write() as tx:
            job = tx.jobs.lock(attempt.job_id)
            fresh = tx.attempts.lock(attempt.job_id, attempt.number)
            if job is None or fresh is None or not fresh.is_stalled:
                return False
            ended = end_attempt(self._context, tx, job, fresh, ending)
        if ended:
            self._context.bell.nudge(attempt.node_id)
        return ended

    def _mark_offline(self, farm_seconds: float) -> int:
        silent_since = farm_seconds - self._context.policy.node_timeout_seconds
        with self._context.store.read() as tx:
            silent = tx.nodes.silent_since(silent_since)
        return sum(self._offline(node_id, silent_since) for node_id in silent)

    def _offline(self, node_id: str, silent_since: float) -> bool:
        with self._context.store.write() as tx:
            marked = tx.nodes.mark_offline(node_id, silent_since=silent_since)
            if marked:
                now = self._context.now()
                tx.events.append(
                    Event(kind=EventKind.NODE_OFFLINE, at=now, node_id=node_id, data={})
                )
            return marked
