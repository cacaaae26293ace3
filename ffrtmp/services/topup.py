"""Healing every loss of messages by count: due jobs minus hints that wait, per queue."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta

from ffrtmp.domain.device import Device
from ffrtmp.domain.hint import Hint, node_queue_name, queue_names
from ffrtmp.domain.job import Job
from ffrtmp.domain.node import Node
from ffrtmp.domain.occupancy import Occupancy
from ffrtmp.domain.placement import needs_gpu, willing_devices
from ffrtmp.domain.ranking import Queue
from ffrtmp.services.context import Context
from ffrtmp.services.room import gpus_with_room

JOBS_PLACED_PER_PASS = 32
NODES_PLACED_PER_PASS = 1000

Place = tuple[Node, Device]


class TopUp:
    """Pushes the hints that are missing; paused queues need none."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run_once(self) -> int:
        """How many hints were pushed; Unavailable if the broker does not answer."""
        self._pull_in_retries()
        now = self._context.now()
        with self._context.store.read() as tx:
            paused = tx.clock.paused_queues()
            open_queues = [queue for queue in Queue if queue not in paused]
            farm_seconds = self._context.farm_seconds(tx)
            best = tx.backlog.best_due(
                farm_seconds=farm_seconds,
                now=now,
                limit=JOBS_PLACED_PER_PASS,
                queues=open_queues,
            )
            if not best:
                return 0
            nodes = tx.nodes.accepting(limit=NODES_PLACED_PER_PASS)
            occupancy = Occupancy.of(tx.attempts.taken())
            left_to_gpus = gpus_with_room(tx)
        hints = [
            *self._missing(open_queues, farm_seconds),
            *self._for_the_right_nodes(best, nodes, occupancy, left_to_gpus),
        ]
        return self._context.bell.push(hints)

    def _pull_in_retries(self) -> None:
        policy = self._context.policy
        latest = self._context.now() + timedelta(seconds=policy.retry.cap_seconds)
        avoid_until = latest + timedelta(seconds=policy.avoid_seconds)
        with self._context.store.write() as tx:
            tx.jobs.pull_in_retries(latest=latest, avoid_until=avoid_until)

    def _missing(self, queues: Collection[Queue], farm_seconds: float) -> Sequence[Hint]:
        now, window = self._context.now(), self._context.policy.hint_window
        names = [name for name in queue_names(with_gpu=True) if name.partition(".")[0] in queues]
        waiting = {name: self._context.bell.waiting(name) for name in names}
        hints: list[Hint] = []
        with self._context.store.read() as tx:
            for name, count in waiting.items():
                if count >= window:
                    continue
                due = tx.backlog.count_due(name, farm_seconds=farm_seconds, now=now, window=window)
                if due > count:
                    hints += tx.backlog.hints_due(
                        name, farm_seconds=farm_seconds, now=now, limit=due - count
                    )
        return hints

    def _for_the_right_nodes(
        self,
        best: Sequence[Job],
        nodes: Sequence[Node],
        occupancy: Occupancy,
        left_to_gpus: Collection[str],
    ) -> Sequence[Hint]:
        """Hints for the own queues of nodes that can run a due job where others cannot.

        A node without room is not rung: it would keep the hint while others could start.
        """
        now, bell = self._context.now(), self._context.bell
        few: dict[tuple[object, ...], Sequence[Place]] = {}
        asked: set[str] = set()
        hints = []
        for job in best:
            alike = (job.queue, job.hardware, job.requires, job.avoid, job.avoid_until)
            if alike not in few:
                able = _the_few_that_can(job, nodes, left_to_gpus, now=now)
                is_live = job.queue is Queue.LIVE
                few[alike] = [one for one in able if occupancy.free(*one, is_live=is_live) > 0]
            names = (node_queue_name(n.id, is_gpu=device.is_gpu) for n, device in few[alike])
            name = next((name for name in names if name not in asked), None)
            if name is None:
                continue
            asked.add(name)
            if bell.waiting(name) == 0:
                hints.append(Hint(job_id=job.id, rank=job.rank, queue_name=name))
        return hints


def _the_few_that_can(
    job: Job, nodes: Sequence[Node], left_to_gpus: Collection[str], *, now: datetime
) -> Sequence[Place]:
    """The devices that may be given this job; none where every one that hears of it may."""
    hearing = [
        (node.id, device.id)
        for node in nodes
        if job.queue in node.queues
        for device in node.devices_at_work
        if device.is_gpu == needs_gpu(job.hardware)
    ]
    able = [
        (node, device)
        for node in nodes
        for device in willing_devices(node, job, now=now)
        if device.is_gpu or job.requires not in left_to_gpus
    ]
    names = {(node.id, device.id) for node, device in able}
    return () if all(place in names for place in hearing) else able
