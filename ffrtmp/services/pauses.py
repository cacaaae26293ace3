"""Suspending attempts and letting them go on: by an operator, or to make room."""

from collections.abc import Mapping
from typing import Any

from ffrtmp.domain.attempt import Attempt, AttemptState, Pause
from ffrtmp.domain.device import Device
from ffrtmp.domain.errors import JobStateConflict
from ffrtmp.domain.event import Event, EventKind, of_attempt
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.node import Node
from ffrtmp.domain.occupancy import Occupancy
from ffrtmp.services.context import Context
from ffrtmp.store.attempts import Suspended
from ffrtmp.store.engine import Transaction

RESUMED_PER_PASS = 1000


class Pauses:
    """A suspended attempt keeps its lease and its files, and gives its slot away.

    One that made room goes on when its device has room and no better job waits for it.
    """

    def __init__(self, context: Context) -> None:
        self._context = context

    def pause(self, tx: Transaction, job: Job, *, by: str) -> Attempt:
        """An operator stops a running file encode; twice is once. JobStateConflict otherwise."""
        attempt = self._attempt_of(tx, job)
        if attempt.pause is not Pause.OPERATOR:
            self.suspend(tx, job, attempt, Pause.OPERATOR, by=by)
        return attempt

    def resume(self, tx: Transaction, job: Job, *, by: str) -> Attempt:
        """It goes on at once where there is room, else as one that made room does."""
        attempt = self._attempt_of(tx, job)
        if attempt.pause is None:
            return attempt
        node = tx.nodes.get(attempt.node_id)
        device = node.device(attempt.device) if node is not None else None
        if node is None or device is None or self._has_room(tx, node, device, attempt):
            self.let_go_on(tx, attempt, by=by)
        elif attempt.pause is Pause.OPERATOR:
            self.suspend(tx, job, attempt, Pause.PREEMPTED, by=by, to="wait for a slot")
        return attempt

    def suspend(
        self, tx: Transaction, job: Job, attempt: Attempt, pause: Pause, **said: object
    ) -> bool:
        """Stop a running attempt of a locked job; its node hears of it in its next heartbeat."""
        farm_seconds = self._context.farm_seconds(tx)
        if not tx.attempts.set_pause(attempt, pause, farm_seconds=farm_seconds):
            return False
        tx.jobs.move(job, JobStatus.PAUSED)
        tx.events.append(self._event(EventKind.JOB_PAUSED, attempt, {"pause": pause} | said))
        return True

    def let_go_on(self, tx: Transaction, attempt: Attempt, **said: object) -> bool:
        """The attempt has a slot again; its node hears of it in its next heartbeat."""
        job = tx.jobs.lock(attempt.job_id)
        if job is None or job.status is not JobStatus.PAUSED or job.attempt != attempt.number:
            return False
        farm_seconds = self._context.farm_seconds(tx)
        if not tx.attempts.set_pause(attempt, None, farm_seconds=farm_seconds):
            return False
        tx.jobs.move(job, JobStatus.RUNNING)
        tx.events.append(self._event(EventKind.JOB_RESUMED, attempt, said))
        self._context.bell.nudge(attempt.node_id)
        return True

    def next_on(
        self, tx: Transaction, node: Node, device: Device, *, is_reserved: bool
    ) -> Suspended | None:
        """Whose turn it is, of those suspended on a device that wait for such a slot.

        A slot kept for the live queue is for whoever had one.
        """
        found = tx.attempts.suspended(node_id=node.id, limit=RESUMED_PER_PASS)
        return next(
            (
                one
                for one in found
                if one.attempt.device == device.id and (one.attempt.is_reserved or not is_reserved)
            ),
            None,
        )

    def run_once(self) -> int:
        """Let go on whoever has room and no better job before it; how many do.

        Claims do the same; this is for nodes that claim nothing, because no job waits for them or
        because they are drained.
        """
        with self._context.store.read() as tx:
            found = tx.attempts.suspended(limit=RESUMED_PER_PASS)
        return sum(self._go_on_if_due(one) for one in found)

    def _go_on_if_due(self, one: Suspended) -> bool:
        with self._context.store.write() as tx:
            node = tx.nodes.lock(one.attempt.node_id)
            device = node.device(one.attempt.device) if node is not None else None
            if node is None or device is None or not self._has_room(tx, node, device, one.attempt):
                return False
            takes_jobs = node.accepts_work and device in node.devices_at_work
            if takes_jobs and self._is_outranked(tx, node, device, one.place):
                return False
            return self.let_go_on(tx, one.attempt)

    def _is_outranked(
        self, tx: Transaction, node: Node, device: Device, place: tuple[int, int]
    ) -> bool:
        paused = tx.clock.paused_queues()
        best = tx.backlog.best_for(
            device.capabilities,
            queues=[queue for queue in node.queues if queue not in paused],
            farm_seconds=self._context.farm_seconds(tx),
            now=self._context.now(),
        )
        return best is not None and best < place

    def _has_room(self, tx: Transaction, node: Node, device: Device, attempt: Attempt) -> bool:
        occupancy = Occupancy.of(tx.attempts.taken([node.id]))
        if attempt.is_reserved and occupancy.reserved_free(node, device) > 0:
            return True
        return occupancy.free(node, device, is_live=False) > 0

    def _attempt_of(self, tx: Transaction, job: Job) -> Attempt:
        attempt = tx.attempts.lock(job.id, job.attempt)
        if attempt is None or attempt.state is not AttemptState.RUNNING:
            raise JobStateConflict(f"a job that is {job.status} cannot be paused or resumed")
        if job.is_stream:
            raise JobStateConflict("a stream cannot be paused: whoever watches would lose it")
        return attempt

    def _event(self, kind: EventKind, attempt: Attempt, data: Mapping[str, Any]) -> Event:
        return of_attempt(kind, attempt, at=self._context.now(), data=data)
