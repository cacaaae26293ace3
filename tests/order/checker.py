"""Judges every claim, every raise and every idle slot by the model; collects what is wrong."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ffrtmp.domain.device import Device
from ffrtmp.domain.errors import FarmError
from ffrtmp.domain.job import Job
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.domain.ranking import Queue
from ffrtmp.services.attempts import Claim, Grant
from tests.order.arrivals import Work
from tests.order.bound import Bound
from tests.order.facts import Facts, NodeFacts
from tests.order.nodes import Host
from tests.order.pending import Asking, Task
from tests.order.world import PASS_SECONDS, PATIENCE_SECONDS, World

IDLE_SECONDS = PASS_SECONDS + PATIENCE_SECONDS
"""For how long a slot may stand empty though a job for it is due: until the first pass after the
job's patience for GPUs has ended rings."""
EXAMPLES = 5
SlotKind = tuple[str, str, bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """What a claim must be answered with: the task, or why there is none."""

    task: Task | None
    is_closed: bool = False


class Checker:
    """Carries claims to the farm, and knows what each must be answered with."""

    def __init__(self, world: World, hosts: Sequence[Host], *, jobs: int) -> None:
        self._world = world
        self._hosts = hosts
        step = _step_seconds(world.rules)
        self.facts = Facts(world, hosts, step_seconds=step)
        self.bound = None if step is None else Bound(hosts, jobs=jobs, step_seconds=step)
        self.work: dict[str, Work] = {}
        self.found: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.claims: Counter[str] = Counter()
        self.idle_seconds = {"cpu": 0.0, "gpu": 0.0}
        self.longest_idle = {"cpu": 0.0, "gpu": 0.0}
        self.least_slack = float("inf")
        """The least time that was left of the bound when a job started that it applies to."""
        self._free_since: dict[SlotKind, float] = {}

    def submitted(self, jobs: Sequence[Job], work: Sequence[Work]) -> None:
        """So many jobs were accepted."""
        for job, one in zip(jobs, work, strict=True):
            self.work[job.id] = one
            self.facts.submitted(job, one)
            if self.bound is not None:
                self.bound.waits(self.facts.tasks[job.id])

    def work_of(self, job_id: str) -> Work:
        """What was submitted as this job."""
        return self.work[job_id]

    def claim(self, asked: Claim) -> Grant | None:
        """AttemptService.claim; None where it is refused."""
        self._catch_up()
        due = self._due(asked)
        try:
            grant = self._world.farm.attempts.claim(asked)
        except FarmError:
            grant = None
            self.claims["refused"] += 1
        is_first = grant is not None and self.facts.tasks[grant.job.id].started_after is None
        place = self.facts.tasks[grant.job.id].place if grant is not None else None
        self._catch_up(is_reserved=asked.is_reserved)
        self.claims["granted" if grant is not None else "empty"] += 1
        if grant is None:
            self._judge_nothing(asked, due)
            return None
        self._free_since.pop((asked.node_id, asked.device, asked.is_reserved), None)
        task = self.facts.tasks[grant.job.id]
        if due.is_closed:
            self.claims["canary"] += 1
        if task is not due.task:
            kind = "inversion" if due.task is not None and due.task.place < task.place else "wrong"
            self._note(kind, f"{asked.node_id}/{asked.device} got {place} {task}, due {due.task}")
        self._started(task, is_first=is_first)
        return grant

    def passed(self, silent: Mapping[str, bool]) -> None:
        """A reconcile pass was made; ``silent`` are nodes whose agents do nothing."""
        facts, seconds = self.facts, self._world.seconds
        self._catch_up()
        facts.pending.settle(seconds)
        raised = {task.id for task in facts.pending.raise_due(seconds)}
        for job_id in facts.raised.keys() - raised:
            self._note("raised early", f"{facts.tasks[job_id]} at {seconds}")
        for job_id in raised - facts.raised.keys():
            self._note("raised late", f"{facts.tasks[job_id]} at {seconds}")
        facts.raised.clear()
        if self.bound is not None:
            self.bound.look(facts.nodes, seconds)
        self._look_for_idle_slots(silent)

    def end(self) -> None:
        """The run is over: nothing may be left."""
        for task in self.facts.tasks.values():
            if not task.is_ended:
                self._note("stuck", str(task))

    def _catch_up(self, *, is_reserved: bool = False) -> None:
        self.facts.catch_up(is_reserved=is_reserved)
        if self.bound is not None:
            for task in self.facts.put_back:
                self.bound.waits_again(task)
        self.facts.put_back.clear()

    # claims

    def _due(self, asked: Claim) -> Due:
        node = self.facts.nodes[asked.node_id]
        device = next(one for one in node.host.devices if one.id == asked.device)
        is_closed = not node.is_open or asked.device in node.aside
        if node.free(device, is_reserved=asked.is_reserved) <= 0:
            return Due(task=None)
        asking = self._asking(node, device, is_reserved=asked.is_reserved)
        best = self.facts.pending.best(asking, self._world.seconds)
        suspended = None if asked.is_reserved else node.next_suspended(asked.device)
        if best is not None and suspended is not None and suspended < best.place:
            best = None
        return Due(task=best, is_closed=is_closed)

    def _judge_nothing(self, asked: Claim, due: Due) -> None:
        if due.task is not None and not due.is_closed:
            self._note("withheld", f"{asked.node_id}/{asked.device} got nothing, due {due.task}")

    def _asking(self, node: NodeFacts, device: Device, *, is_reserved: bool) -> Asking:
        served = [queue for queue in Queue if queue in node.host.queues]
        return Asking(
            node_id=node.host.id,
            device=device.id,
            queues=[queue for queue in served if queue is Queue.LIVE] if is_reserved else served,
            abilities=device.capabilities,
            left_to_gpus=frozenset() if device.is_gpu else self.facts.gpus_with_room(),
            patience_seconds=self._world.rules.gpu_patience_seconds,
        )

    def _started(self, task: Task, *, is_first: bool) -> None:
        if self.bound is None:
            return
        self.bound.starts(task)
        latest = self.bound.latest_start(task)
        if is_first and latest is not None:
            self.least_slack = min(self.least_slack, latest - self._world.seconds)
            if self._world.seconds > latest:
                self._note("too late", f"{task}, by {latest}")

    # idle slots

    def _look_for_idle_slots(self, silent: Mapping[str, bool]) -> None:
        for node in self.facts.nodes.values():
            for device in node.host.devices:
                for is_reserved in (False, True):
                    slot = (node.host.id, device.id, is_reserved)
                    is_open = node.is_open and not silent[node.host.id]
                    if is_open and self._is_free(node, device, is_reserved=is_reserved):
                        self._look_at(slot, node, device)
                    else:
                        self._free_since.pop(slot, None)

    def _is_free(self, node: NodeFacts, device: Device, *, is_reserved: bool) -> bool:
        is_free = node.free(device, is_reserved=is_reserved) > 0
        return is_free and device.id not in node.aside

    def _look_at(self, slot: SlotKind, node: NodeFacts, device: Device) -> None:
        seconds = self._world.seconds
        since = self._free_since.setdefault(slot, seconds)
        asking = self._asking(node, device, is_reserved=slot[2])
        task = self.facts.pending.oldest(asking, seconds) if since < seconds else None
        if task is None:
            return
        idle = max(0.0, seconds - max(since, task.due_at))
        family = "gpu" if device.is_gpu else "cpu"
        self.idle_seconds[family] += min(PASS_SECONDS, idle)
        self.longest_idle[family] = max(self.longest_idle[family], idle)
        if idle > IDLE_SECONDS:
            self._note("idle", f"{slot} since {since}, due {task}")

    def _note(self, kind: str, example: str) -> None:
        self.found[kind] += 1
        kept = self.examples.setdefault(kind, [])
        if len(kept) < EXAMPLES:
            kept.append(f"at {self._world.seconds:.3f} s: {example}")


def _step_seconds(rules: FarmPolicy) -> float | None:
    return None if rules.max_wait_seconds is None else rules.max_wait_seconds / 8
