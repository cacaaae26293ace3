"""What people do with queues: look, pause, resume."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from ffrtmp.domain.access import ANYONE
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.hint import hint_of
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.node import Node
from ffrtmp.domain.occupancy import busy_by_node
from ffrtmp.domain.placement import needs_gpu
from ffrtmp.domain.ranking import RANKS, Priority, Queue, QueuePause
from ffrtmp.services.context import Context
from ffrtmp.store.engine import Transaction

CLASSES = (Hardware.AUTO, Hardware.CPU, Hardware.GPU)
"""What jobs may ask for, with all kinds of GPU encoders as one."""
RESUMED_HINTS = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class RankLine:
    """One rank and hardware class: how many wait and run, for how long the oldest has waited,
    and the slots of the nodes at work that serve it."""

    queue: Queue
    priority: Priority
    rank: int
    hardware: Hardware
    waiting: int
    running: int
    oldest_wait_seconds: float | None
    slots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBoard:
    """Every rank, best first, the slots of the nodes that are heard, and what is paused."""

    lines: tuple[RankLine, ...]
    slots: int
    slots_busy: int
    paused: Mapping[Queue, QueuePause]


class QueueService:
    """Verbs on queues."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def pause(self, queue: Queue, *, reason: str | None, by: str = ANYONE.name) -> QueueBoard:
        """Nothing of the queue starts until it is resumed; what runs goes on. Twice is once."""
        with self._context.store.write() as tx:
            paused = dict(tx.clock.paused_queues())
            if queue not in paused:
                self._note(tx, EventKind.QUEUE_PAUSED, queue, reason, by)
            since = paused[queue].since if queue in paused else self._context.now()
            paused[queue] = QueuePause(reason=reason, since=since)
            tx.clock.put_paused_queues(paused)
        return self.board()

    def resume(self, queue: Queue, *, by: str = ANYONE.name) -> QueueBoard:
        """The queue's jobs start again; a pass rings for them, this for the first at once."""
        with self._context.store.write() as tx:
            paused = dict(tx.clock.paused_queues())
            if paused.pop(queue, None) is not None:
                self._note(tx, EventKind.QUEUE_RESUMED, queue, None, by)
                tx.clock.put_paused_queues(paused)
        self._ring(queue)
        return self.board()

    def board(self) -> QueueBoard:
        """The queues now."""
        now = self._context.now()
        with self._context.store.read() as tx:
            waiting, running = tx.backlog.waiting_by_rank(), tx.backlog.running_by_rank()
            heard = [node for node in tx.nodes.every() if not node.is_offline]
            busy = busy_by_node(tx.attempts.taken())
            paused = tx.clock.paused_queues()
        lines = [
            _line(rank, hardware, waiting, running, heard, now)
            for rank in RANKS
            for hardware in CLASSES
        ]
        return QueueBoard(
            lines=tuple(lines),
            slots=sum(node.usable_slots for node in heard),
            slots_busy=sum(busy.get(node.id, 0) for node in heard),
            paused=paused,
        )

    def _ring(self, queue: Queue) -> None:
        now = self._context.now()
        with self._context.store.read() as tx:
            best = tx.backlog.best_due(
                farm_seconds=self._context.farm_seconds(tx),
                now=now,
                limit=RESUMED_HINTS,
                queues=(queue,),
            )
        for job in best:
            if not self._context.bell.ring(hint_of(job)):
                return

    def _note(
        self, tx: Transaction, kind: EventKind, queue: Queue, reason: str | None, by: str
    ) -> None:
        data = {"queue": queue, "reason": reason, "by": by}
        tx.events.append(Event(kind=kind, at=self._context.now(), data=data))


def _line(
    rank: int,
    hardware: Hardware,
    waiting: Mapping[tuple[int, Hardware], tuple[int, datetime]],
    running: Mapping[tuple[int, Hardware], int],
    heard: Sequence[Node],
    now: datetime,
) -> RankLine:
    queue, priority = list(Queue)[rank // len(Priority)], list(Priority)[rank % len(Priority)]
    alike = [(rank, ask) for ask in Hardware if _class_of(ask) is hardware]
    there = [waiting[key] for key in alike if key in waiting]
    oldest = min((since for _, since in there), default=None)
    return RankLine(
        queue=queue,
        priority=priority,
        rank=rank,
        hardware=hardware,
        waiting=sum(count for count, _ in there),
        running=sum(running.get(key, 0) for key in alike),
        oldest_wait_seconds=None if oldest is None else max(0.0, (now - oldest).total_seconds()),
        slots=sum(_slots(node, hardware) for node in heard if queue in node.queues),
    )


def _class_of(hardware: Hardware) -> Hardware:
    return Hardware.GPU if needs_gpu(hardware) else hardware


def _slots(node: Node, hardware: Hardware) -> int:
    if not node.accepts_work:
        return 0
    return sum(
        device.slots
        for device in node.devices_at_work
        if hardware is Hardware.AUTO or device.is_gpu == (hardware is Hardware.GPU)
    )
