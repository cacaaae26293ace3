"""The farm in numbers, counted once by control so that a scrape never counts."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.node import NodeStatus
from ffrtmp.domain.occupancy import busy_by_node
from ffrtmp.services.context import Context
from ffrtmp.store.engine import Transaction

REFUSED = "messages_refused"


class Counts:
    """Counts jobs and nodes."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def run_once(self, *, messages_refused: Mapping[str, int] | None = None) -> Mapping[str, Any]:
        """Count, and keep the numbers in the farm's row.

        ``messages_refused``: what control did not take from the broker since the last count.
        """
        with self._context.store.read() as tx:
            counted: dict[str, Any] = {"jobs": _jobs(tx), "nodes": _nodes(tx)}
        with self._context.store.write() as tx:
            known: Mapping[str, int] = tx.clock.counts().get(REFUSED, {})
            counted[REFUSED] = dict(Counter(known) + Counter(messages_refused or {}))
            tx.clock.put_counts(counted)
        return counted

    def last(self) -> Mapping[str, Any]:
        """The numbers of the last count: ``jobs`` and ``nodes`` by status, and what was refused
        of messages by reason, ever."""
        with self._context.store.read() as tx:
            return tx.clock.counts()


def _jobs(tx: Transaction) -> Mapping[str, int]:
    counted = tx.jobs.count_by_status()
    return {status: counted.get(status, 0) for status in JobStatus}


def _nodes(tx: Transaction) -> Mapping[str, int]:
    busy = busy_by_node(tx.attempts.taken())
    counted: dict[str, int] = dict.fromkeys(NodeStatus, 0)
    for node in tx.nodes.every():
        counted[node.status(slots_busy=busy.get(node.id, 0))] += 1
    return counted
