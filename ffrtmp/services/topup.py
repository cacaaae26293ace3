"""Healing every loss of messages by count: due jobs minus hints that wait, per queue."""

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from ffrtmp.domain.device import Device
from ffrtmp.domain.hint import Hint, node_queue_name, queue_name, queue_names
from ffrtmp.domain.job import Job
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.node import Node
from ffrtmp.domain.occupancy import Occupancy
from ffrtmp.domain.placement import needs_gpu, willing_devices
from ffrtmp.domain.ranking import Queue
from ffrtmp.services.context import Context
from ffrtmp.services.room import gpus_with_room
from ffrtmp.store.engine import Transaction

JOBS_PLACED_PER_NEED = 32
QUEUES_RUNG_PER_PASS = 100
NODES_PLACED_PER_PASS = 1000

Place = tuple[Node, Device]


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The devices that may be given a job and may still have room, best first: those that its
    own Celery queue rings, if every device that hears it may be given the job, then the others."""

    left: deque[Place]
    rung_by_queue: frozenset[tuple[str, str]]

    def first_free(self, occupancy: Occupancy, *, is_live: bool) -> Place | None:
        """The best with room; what has none now has none later in the pass."""
        while self.left and occupancy.free(*self.left[0], is_live=is_live) <= 0:
            self.left.popleft()
        return self.left[0] if self.left else None

    def is_rung_by_its_queue(self, place: Place) -> bool:
        """True where the hint on the job's own queue reaches this device, or one as good."""
        node, device = place
        return (node.id, device.id) in self.rung_by_queue


class TopUp:
    """Pushes the hints that are missing; paused queues need none."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run_once(self) -> int:
        """How many hints were pushed; Unavailable if the broker does not answer."""
        self._pull_in_retries()
        with self._context.store.read() as tx:
            paused = tx.clock.paused_queues()
            open_queues = [queue for queue in Queue if queue not in paused]
            farm_seconds = self._context.farm_seconds(tx)
            best = self._best(tx, open_queues, farm_seconds)
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

    def _best(
        self, tx: Transaction, queues: Collection[Queue], farm_seconds: float
    ) -> Sequence[Job]:
        """The best due jobs of each need and queue, whatever better ones wait for others."""
        now = self._context.now()
        found = [
            job
            for need in tx.backlog.needs()
            for queue in queues
            for job in tx.backlog.best_due_of(
                need,
                queue=queue,
                farm_seconds=farm_seconds,
                now=now,
                limit=JOBS_PLACED_PER_NEED,
            )
        ]
        return sorted(found, key=lambda job: (job.rank, job.sequence_number))

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
        """Hints for the own queues of nodes that can run a due job where others cannot, one for
        each free slot.

        A node without room is not rung: it would keep the hint while others could start.
        """
        now = self._context.now()
        known: dict[tuple[object, ...], Places] = {}
        rung: dict[str, list[Hint]] = {}
        for job in best:
            alike = (job.queue, job.hardware, job.requires, job.avoid, job.avoid_until)
            if alike not in known:
                known[alike] = _places(job, nodes, left_to_gpus, now=now)
            is_live = job.queue is Queue.LIVE
            place = known[alike].first_free(occupancy, is_live=is_live)
            if place is None:
                continue
            is_general = occupancy.free(*place, is_live=False) > 0
            occupancy.take(*place, is_live=is_live)
            if known[alike].is_rung_by_its_queue(place):
                continue
            name = _queue_of(*place, job, is_general=is_general)
            if name in rung or len(rung) < QUEUES_RUNG_PER_PASS:
                hint = Hint(job_id=job.id, rank=job.rank, queue_name=name)
                rung.setdefault(name, []).append(hint)
        return [hint for name, hints in rung.items() for hint in self._lacking(name, hints)]

    def _lacking(self, name: str, hints: Sequence[Hint]) -> Sequence[Hint]:
        return hints[: max(0, len(hints) - self._context.bell.waiting(name))]


def _queue_of(node: Node, device: Device, job: Job, *, is_general: bool) -> str:
    """Where a slot hears of a job: a reserved one only on the live queue of its kind."""
    if is_general:
        return node_queue_name(node.id, is_gpu=device.is_gpu)
    return queue_name(job.queue, Hardware.GPU if device.is_gpu else Hardware.CPU)


def _places(
    job: Job, nodes: Sequence[Node], left_to_gpus: Collection[str], *, now: datetime
) -> Places:
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
    rung = frozenset(hearing) if names.issuperset(hearing) else frozenset()
    able.sort(key=lambda place: (place[0].id, place[1].id) not in rung)
    return Places(left=deque(able), rung_by_queue=rung)
