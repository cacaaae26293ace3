"""The farm in numbers, counted once by control so that a scrape never counts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.node import NodeStatus
from ffrtmp.domain.ranking import RANKS, Priority, Queue
from ffrtmp.services.context import Context
from ffrtmp.store.engine import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class RankLine:
    """One rank: how many wait and run, and for how long the oldest has waited."""

    queue: Queue
    priority: Priority
    rank: int
    waiting: int
    running: int
    oldest_wait_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueBoard:
    """Every rank, best first, and the slots of the nodes that are heard."""

    ranks: tuple[RankLine, ...]
    slots: int
    slots_busy: int


class Counts:
    """Counts jobs and nodes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run_once(self) -> Mapping[str, Any]:
        """Count, and keep the numbers in the farm's row."""
        with self._context.store.read() as tx:
            counted = {"jobs": _jobs(tx), "nodes": _nodes(tx)}
        with self._context.store.write() as tx:
            tx.clock.put_counts(counted)
        return counted

    def last(self) -> Mapping[str, Any]:
        """The numbers of the last count: ``jobs`` and ``nodes``, each by status."""
        with self._context.store.read() as tx:
            return tx.clock.counts()

    def board(self) -> QueueBoard:
        """The queues now."""
        now = self._context.now()
        with self._context.store.read() as tx:
            waiting, running = tx.jobs.waiting_by_rank(), tx.jobs.running_by_rank()
            heard = [node for node in tx.nodes.every() if not node.is_offline]
            held = tx.attempts.live_by_node()
        lines = []
        for rank in RANKS:
            count, oldest = waiting.get(rank, (0, None))
            wait = None if oldest is None else max(0.0, (now - oldest).total_seconds())
            lines.append(
                RankLine(
                    queue=list(Queue)[rank // len(Priority)],
                    priority=list(Priority)[rank % len(Priority)],
                    rank=rank,
                    waiting=count,
                    running=running.get(rank, 0),
                    oldest_wait_seconds=wait,
                )
            )
        return QueueBoard(
            ranks=tuple(lines),
            slots=sum(node.usable_slots for node in heard),
            slots_busy=sum(len(held.get(node.id, ())) for node in heard),
        )


def _jobs(tx: Transaction) -> Mapping[str, int]:
    counted = tx.jobs.count_by_status()
    return {status: counted.get(status, 0) for status in JobStatus}


def _nodes(tx: Transaction) -> Mapping[str, int]:
    held = tx.attempts.live_by_node()
    counted: dict[str, int] = dict.fromkeys(NodeStatus, 0)
    for node in tx.nodes.every():
        counted[node.status(slots_busy=len(held.get(node.id, ())))] += 1
    return counted
