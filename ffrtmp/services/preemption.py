"""Making room for live jobs that find every slot busy."""

import logging
from collections.abc import Sequence

from ffrtmp.domain.attempt import AttemptState, Outcome, Pause
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.occupancy import Occupancy
from ffrtmp.domain.preemption import MakeRoom, Running, plan, without_room
from ffrtmp.domain.ranking import Queue
from ffrtmp.services.context import Context
from ffrtmp.services.endings import Ending, end_attempt
from ffrtmp.services.pauses import Pauses
from ffrtmp.store.engine import Transaction

log = logging.getLogger(__name__)

LIVE_JOBS_PER_PASS = 32
NODES_CONSIDERED = 1000
VICTIMS_CONSIDERED = 1000
SUSPENDED_CONSIDERED = 1000


class Preemption:
    """Takes slots of batch attempts, where the policy says so."""

    def __init__(self, context: Context, pauses: Pauses) -> None:
        self._context = context
        self._pauses = pauses

    def run_once(self) -> int:
        """Make room for each due live job that has none; for how many room was made."""
        if not self._context.policy.preempts_batch:
            return 0
        return sum(self._make_room(one) for one in self._plan())

    def _plan(self) -> Sequence[MakeRoom]:
        now = self._context.now()
        with self._context.store.read() as tx:
            if Queue.LIVE in tx.clock.paused_queues():
                return ()
            farm_seconds = self._context.farm_seconds(tx)
            waiting = tx.backlog.best_due(
                farm_seconds=farm_seconds,
                now=now,
                limit=LIVE_JOBS_PER_PASS,
                queues=(Queue.LIVE,),
            )
            if not waiting:
                return ()
            nodes = tx.nodes.accepting(limit=NODES_CONSIDERED)
            occupancy = Occupancy.of(tx.attempts.taken())
            in_need = without_room(waiting, nodes, occupancy, now=now)
            if not in_need:
                return ()
            running = tx.attempts.preemptable(limit=VICTIMS_CONSIDERED)
        return plan(in_need, nodes, running, now=now)

    def _make_room(self, one: MakeRoom) -> bool:
        """In one transaction, and only if nobody else has made room for the job meanwhile."""
        victim = one.victim
        with self._context.store.write() as tx:
            # In one order, as whoever locks two jobs must.
            first, second = sorted((one.job.id, victim.attempt.job_id))
            locked = {job.id: job for job in (tx.jobs.lock(first), tx.jobs.lock(second)) if job}
            live, job = locked.get(one.job.id), locked.get(victim.attempt.job_id)
            if live is None or job is None or live.status is not JobStatus.PENDING:
                return False
            is_served = live.room_made_farm != one.job.room_made_farm
            if is_served or not self._yield_slot(tx, live, job, victim):
                return False
            tx.jobs.note_room_made(live, farm_seconds=self._context.farm_seconds(tx))
        self._context.bell.nudge(victim.attempt.node_id)
        log.info(
            "job %d makes room for live job %d on node %s",
            victim.job_number,
            one.job.sequence_number,
            victim.attempt.node_name,
        )
        return True

    def _yield_slot(self, tx: Transaction, live: Job, job: Job, victim: Running) -> bool:
        attempt = tx.attempts.lock(job.id, victim.attempt.number)
        if attempt is None or attempt.state is not AttemptState.RUNNING or attempt.pause:
            return False
        why = f"made room for live job {live.sequence_number}"
        if victim.can_be_suspended and self._has_room_to_wait(tx, victim):
            return self._pauses.suspend(tx, job, attempt, Pause.PREEMPTED, because=why)
        ending = Ending(outcome=Outcome.PREEMPTED, error=why)
        return end_attempt(self._context, tx, job, attempt, ending)

    def _has_room_to_wait(self, tx: Transaction, victim: Running) -> bool:
        """Suspended encoders keep their memory: a device holds as many as it has slots."""
        node = tx.nodes.get(victim.attempt.node_id)
        device = node.device(victim.attempt.device) if node is not None else None
        if node is None or device is None:
            return False
        held = tx.attempts.suspended(node_id=node.id, limit=SUSPENDED_CONSIDERED)
        return sum(one.attempt.device == device.id for one in held) < device.slots
