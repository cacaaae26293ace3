"""Beat's loop: what should be, made true again. One pass per call, every step idempotent."""

import logging
from collections.abc import Container, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ffrtmp.domain.attempt import Attempt, Outcome
from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.hint import Hint, node_queue_name, queue_names
from ffrtmp.domain.job import Job
from ffrtmp.domain.node import Node
from ffrtmp.domain.placement import can_run
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.context import Context
from ffrtmp.services.endings import Ending, end_attempt

log = logging.getLogger(__name__)

ENDED_PER_PASS = 1000
JOBS_PLACED_PER_PASS = 32
NODES_PLACED_PER_PASS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What one pass did."""

    farm_seconds: float
    expired: int
    stalled: int
    offline: int
    hints_pushed: int
    broker_answers: bool


class Reconciler:
    """Leases, silence, stalls, missing hints."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run_once(self) -> Pass:
        """One pass; a second one at the same moment finds nothing left to do."""
        farm_seconds = self._advance()
        expired = self._expire(farm_seconds)
        stalled = self._end_stalled()
        offline = self._mark_offline(farm_seconds)
        try:
            pushed, answers = self._top_up(farm_seconds), True
        except Unavailable as error:
            log.warning("hints not topped up: %s", error)
            pushed, answers = 0, False
        return Pass(
            farm_seconds=farm_seconds,
            expired=expired,
            stalled=stalled,
            offline=offline,
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

    def _top_up(self, farm_seconds: float) -> int:
        """Heal every loss of messages, by count: due jobs minus hints waiting, per queue."""
        now, policy = self._context.now(), self._context.policy
        latest = now + timedelta(seconds=policy.retry.cap_seconds)
        avoid_until = latest + timedelta(seconds=policy.avoid_seconds)
        with self._context.store.write() as tx:
            tx.jobs.pull_in_retries(latest=latest, avoid_until=avoid_until)
        with self._context.store.read() as tx:
            best = tx.jobs.best_due(farm_seconds=farm_seconds, now=now, limit=JOBS_PLACED_PER_PASS)
            if not best:
                return 0
            nodes = tx.nodes.accepting(limit=NODES_PLACED_PER_PASS)
            held = tx.attempts.counts_live()
        have_room = {node.id for node in nodes if held.get(node.id, 0) < node.usable_slots}
        hints = [
            *self._missing(farm_seconds),
            *self._for_the_right_nodes(best, nodes, have_room),
        ]
        return self._context.bell.push(hints)

    def _missing(self, farm_seconds: float) -> Sequence[Hint]:
        now, window = self._context.now(), self._context.policy.hint_window
        waiting = {name: self._context.bell.waiting(name) for name in queue_names(with_gpu=True)}
        hints: list[Hint] = []
        with self._context.store.read() as tx:
            for name, count in waiting.items():
                if count >= window:
                    continue
                due = tx.jobs.count_due(name, farm_seconds=farm_seconds, now=now, window=window)
                if due > count:
                    hints += tx.jobs.hints_due(
                        name, farm_seconds=farm_seconds, now=now, limit=due - count
                    )
        return hints

    def _for_the_right_nodes(
        self, best: Sequence[Job], nodes: Sequence[Node], have_room: Container[str]
    ) -> Sequence[Hint]:
        """Hints for the own queues of nodes that can run a due job where others cannot.

        A node without room is not rung: it would keep the hint while others could start.
        """
        now, bell = self._context.now(), self._context.bell
        few: dict[tuple[str | None, ...], Sequence[Node]] = {}
        asked: set[str] = set()
        hints = []
        for job in best:
            alike = (job.queue, job.requires, job.avoid_node_id)
            if alike not in few:
                able = _the_few_that_can(job, nodes, now=now)
                few[alike] = [node for node in able if node.id in have_room]
            node = next((node for node in few[alike] if node.id not in asked), None)
            if node is None:
                continue
            asked.add(node.id)
            name = node_queue_name(node.id)
            if bell.waiting(name) == 0:
                hints.append(Hint(job_id=job.id, rank=job.rank, queue_name=name))
        return hints


def _the_few_that_can(job: Job, nodes: Sequence[Node], *, now: datetime) -> Sequence[Node]:
    """The nodes that can run this job; none where every node that hears its queue can."""
    hearing = [node for node in nodes if job.queue in node.queues]
    able = [node for node in hearing if can_run(node, job, now=now)]
    return able if len(able) < len(hearing) else ()
