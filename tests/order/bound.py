"""By when a job must have started where waiting raises ranks: the promise of ageing, as a number.

Once a job has waited ``step * base_rank`` it stands at rank 0, and only jobs with smaller numbers
go before it. Until it starts, every slot that can run it, of the nodes to which nothing happens,
works on those or on what ran there before. So from the first pass at which it stands at rank 0,
at ``seconds``, it waits until

    seconds + (ahead + running + put back) / slots + idle

at the latest: ``ahead`` is the run time of all jobs with smaller numbers that wait then and may
take such slots, ``running`` what is left of those that run in them, ``put back`` the run time of
those that failed since, and ``idle`` what a slot may stand empty until a pass rings for it.
"""

import heapq
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ffrtmp.domain.device import CPU_DEVICE
from tests.order.agent import ASK_SECONDS
from tests.order.facts import NodeFacts
from tests.order.nodes import GPU_SPEED, Host
from tests.order.pending import Task
from tests.order.world import PASS_SECONDS, PATIENCE_SECONDS

IDLE_SECONDS = PASS_SECONDS + PATIENCE_SECONDS
Slots = Sequence[tuple[str, str, int]]
"""Node, device and how many slots of it can run a job."""


class Sums:
    """Sums over all numbers below one, of values that change: a Fenwick tree."""

    def __init__(self, size: int) -> None:
        self._tree = [0.0] * (size + 1)

    def add(self, number: int, value: float) -> None:
        """At a number from 1 on."""
        while number < len(self._tree):
            self._tree[number] += value
            number += number & -number

    def below(self, number: int) -> float:
        """Of all smaller numbers."""
        total, number = 0.0, number - 1
        while number > 0:
            total += self._tree[number]
            number -= number & -number
        return total


@dataclass(frozen=True, slots=True, kw_only=True)
class Latest:
    """When a job must have started, but for what was put back after ``put_back`` seconds of it."""

    seconds: float
    put_back: float
    slots: int


class Bound:
    """Works out the latest start of each job once it stands at rank 0."""

    def __init__(self, hosts: Sequence[Host], *, jobs: int, step_seconds: float) -> None:
        self._step = step_seconds
        self._hosts = [host for host in hosts if host.mishap is None and not host.reserve_live]
        self._cpu, self._gpu = Sums(jobs), Sums(jobs)
        self._reaching: list[tuple[float, int, Task]] = []
        self._slots: dict[tuple[str, str], Slots] = {}
        self._latest: dict[str, Latest] = {}
        self._put_back = 0.0

    def waits(self, task: Task) -> None:
        """It was submitted."""
        self._count(task, 1.0)
        at = task.since + self._step * task.base_rank
        heapq.heappush(self._reaching, (at, task.number, task))

    def waits_again(self, task: Task) -> None:
        """It was put back."""
        self._count(task, 1.0)
        self._put_back += task.run_seconds + ASK_SECONDS

    def starts(self, task: Task) -> None:
        """It waits no longer."""
        self._count(task, -1.0)

    def latest_start(self, task: Task) -> float | None:
        """None where it was never worked out: it started before it stood at rank 0."""
        latest = self._latest.get(task.id)
        if latest is None:
            return None
        return latest.seconds + (self._put_back - latest.put_back) / latest.slots

    def look(self, nodes: Mapping[str, NodeFacts], seconds: float) -> None:
        """A pass: note the latest start of those that stand at rank 0 now and wait."""
        running: dict[tuple[str, str], float] = {}
        while self._reaching and self._reaching[0][0] <= seconds:
            _, number, task = heapq.heappop(self._reaching)
            slots = self._slots_for(task)
            if task.started_after is not None or not slots:
                continue
            kind = (task.queue, task.needs)
            if kind not in running:
                running[kind] = _left_of(slots, nodes, seconds)
            ahead = (self._gpu if _needs_gpu(task) else self._cpu).below(number)
            count = sum(one[2] for one in slots)
            at = seconds + (ahead + running[kind]) / count + IDLE_SECONDS
            self._latest[task.id] = Latest(seconds=at, put_back=self._put_back, slots=count)

    def _count(self, task: Task, sign: float) -> None:
        if not task.needs.startswith("cpu:"):
            self._gpu.add(task.number, sign * (task.run_seconds / GPU_SPEED + ASK_SECONDS))
        if not _needs_gpu(task):
            self._cpu.add(task.number, sign * (task.run_seconds + ASK_SECONDS))

    def _slots_for(self, task: Task) -> Slots:
        kind = (task.queue, task.needs)
        if kind not in self._slots:
            self._slots[kind] = [
                (host.id, device.id, device.slots)
                for host in self._hosts
                if task.queue in host.queues
                for device in host.devices
                if task.needs in device.capabilities and device.is_gpu == _needs_gpu(task)
            ]
        return self._slots[kind]


def _left_of(slots: Slots, nodes: Mapping[str, NodeFacts], seconds: float) -> float:
    """The run time that is left of what runs there."""
    return sum(
        max(0.0, _run_seconds(lease.task, device) - (seconds - lease.began_at))
        for node_id, device, _ in slots
        for lease in nodes[node_id].leases.values()
        if lease.device == device
    )


def _run_seconds(task: Task, device: str) -> float:
    return task.run_seconds if device == CPU_DEVICE else task.run_seconds / GPU_SPEED


def _needs_gpu(task: Task) -> bool:
    return task.needs.startswith(("gpu:", "nvenc:"))
