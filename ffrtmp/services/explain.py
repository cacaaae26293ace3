"""Why a pending job is not running, in one line."""

from collections.abc import Mapping, Sequence

from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.node import Node
from ffrtmp.domain.placement import is_avoiding
from ffrtmp.services.context import Context

NODES_CONSIDERED = 1000


class Explain:
    """Answers "why is it waiting"."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def waiting_reason(self, job: Job) -> str | None:
        """One line for a pending job, None for any other."""
        if job.status is not JobStatus.PENDING:
            return None
        now = self._context.now()
        with self._context.store.read() as tx:
            ahead = tx.jobs.count_ahead(job)
            nodes = tx.nodes.accepting(limit=NODES_CONSIDERED)
            busy = {node_id: len(held) for node_id, held in tx.attempts.live_by_node().items()}
            farm_seconds = self._context.farm_seconds(tx)
        if job.retry_at is not None and job.retry_at > now:
            wait = (job.retry_at - now).total_seconds()
            return f"retry {job.retry_count} is due in {wait:.0f} s, after: {job.error}"
        if job.hold_until_farm is not None and job.hold_until_farm > farm_seconds:
            return "its last node may still be publishing; waiting for the lease to run out"
        return self._lacking(job, nodes) or _behind(job, nodes, busy, ahead)

    def _lacking(self, job: Job, nodes: Sequence[Node]) -> str | None:
        if not nodes:
            return "no node is online and taking work"
        serving = [node for node in nodes if job.queue in node.queues]
        if not serving:
            return f"no online node serves the {job.queue} queue"
        able = [node for node in serving if job.requires in node.capabilities]
        if not able:
            hardware, _, codec = job.requires.partition(":")
            return f"no online node can encode {codec} with hardware {hardware}"
        now = self._context.now()
        if all(is_avoiding(job, node.id, now=now) for node in able):
            return "waiting for a node it has not failed on"
        return None


def _behind(job: Job, nodes: Sequence[Node], busy: Mapping[str, int], ahead: int) -> str:
    able = [node for node in nodes if job.requires in node.capabilities]
    slots = sum(node.usable_slots for node in able)
    free = slots - sum(min(node.usable_slots, busy.get(node.id, 0)) for node in able)
    if free > ahead:
        return "about to start: a slot is free"
    if ahead == 0:
        return f"next in line; all {slots} slots that could run it are busy"
    jobs = "1 job is" if ahead == 1 else f"{ahead} jobs are"
    return f"{jobs} ahead of it; {slots - free} of {slots} slots that could run it are busy"
