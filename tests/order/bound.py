"""By when a job must have started where waiting raises ranks: the promise of ageing, as a number.

Once a job has waited ``step * base_rank`` it stands at rank 0, and only jobs with smaller numbers
go before it. While it waits, every slot of the nodes that nothing happens to and that can run it
is busy with those, or with what ran there before. So it starts no later than

    since + step * base_rank + ahead / slots + longest run + idle

where ``ahead`` is the run time of all jobs with smaller numbers that wait at that moment and may
be run by such slots, and ``idle`` what a slot may stand empty until a pass rings for it.
"""

import heapq
from collections import Counter
from collections.abc import Sequence

from tests.order.arrivals import LONGEST_RUN_SECONDS
from tests.order.nodes import GPU_SPEED, Host
from tests.order.pending import Task
from tests.order.world import PASS_SECONDS, PATIENCE_SECONDS

IDLE_SECONDS = 2 * PASS_SECONDS + PATIENCE_SECONDS


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


class Bound:
    """Works out the latest start of each job when it reaches rank 0."""

    def __init__(self, hosts: Sequence[Host], *, jobs: int, step_seconds: float) -> None:
        self._step = step_seconds
        self._hosts = [host for host in hosts if host.mishap is None]
        self._cpu, self._gpu = Sums(jobs), Sums(jobs)
        self._reaching: list[tuple[float, int, Task]] = []
        self._slots: Counter[tuple[str, str]] = Counter()
        self.latest: dict[str, float] = {}

    def waits(self, task: Task) -> None:
        """It was submitted."""
        self._count(task, 1.0)
        at = task.since + self._step * task.base_rank
        heapq.heappush(self._reaching, (at, task.number, task))

    def starts(self, task: Task) -> None:
        """It waits no longer."""
        self._count(task, -1.0)

    def look(self, seconds: float) -> None:
        """Note the latest start of those that have reached rank 0 and still wait."""
        while self._reaching and self._reaching[0][0] <= seconds:
            at, number, task = heapq.heappop(self._reaching)
            if task.started_after is not None:
                continue
            sums = self._gpu if _needs_gpu(task) else self._cpu
            ahead = sums.below(number) / max(1, self._slots_for(task))
            self.latest[task.id] = at + ahead + LONGEST_RUN_SECONDS + IDLE_SECONDS

    def _count(self, task: Task, sign: float) -> None:
        if not task.needs.startswith("cpu:"):
            self._gpu.add(task.number, sign * task.run_seconds / GPU_SPEED)
        if not _needs_gpu(task):
            self._cpu.add(task.number, sign * task.run_seconds)

    def _slots_for(self, task: Task) -> int:
        kind = (task.queue, task.needs)
        if kind not in self._slots:
            self._slots[kind] = sum(
                device.slots
                for host in self._hosts
                if task.queue in host.queues and not host.reserve_live
                for device in host.devices
                if task.needs in device.capabilities and device.is_gpu == _needs_gpu(task)
            )
        return self._slots[kind]


def _needs_gpu(task: Task) -> bool:
    return task.needs.startswith(("gpu:", "nvenc:"))
