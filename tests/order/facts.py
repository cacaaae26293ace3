"""What has happened, read from the event table: who waits, what each node holds and may do."""

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from ffrtmp.domain.breaker import WHOLE_NODE
from ffrtmp.domain.device import CPU_DEVICE, Device
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.ranking import Priority, Queue, rank_of
from tests.order.arrivals import Work
from tests.order.nodes import Host
from tests.order.pending import Pending, Place, Task
from tests.order.world import World

Key = tuple[str, int]


@dataclass(slots=True, kw_only=True)
class Lease:
    """An attempt that holds a lease, and its slot unless it is suspended."""

    task: Task
    device: str
    is_reserved: bool
    began_at: float
    is_suspended: bool = False


@dataclass(slots=True, kw_only=True)
class NodeFacts:
    """What the farm knows of a node."""

    host: Host
    is_offline: bool = False
    aside: set[str] = field(default_factory=set)
    leases: dict[Key, Lease] = field(default_factory=dict)

    @property
    def is_open(self) -> bool:
        """Whether it may be given work."""
        return not self.is_offline and WHOLE_NODE not in self.aside

    def free(self, device: Device, *, is_reserved: bool) -> int:
        """Slots of this kind on a device."""
        alike = {one.id for one in self.host.devices if one.is_gpu == device.is_gpu}
        slots = sum(one.slots for one in self.host.devices if one.id in alike)
        reserved = min(self.host.reserve_live, slots)
        of_kind = reserved if is_reserved else slots - reserved
        running = [one for one in self.leases.values() if not one.is_suspended]
        on_device = sum(one.device == device.id for one in running)
        alike_held = sum(one.device in alike and one.is_reserved == is_reserved for one in running)
        return min(device.slots - on_device, of_kind - alike_held)

    def next_suspended(self, device_id: str) -> Place | None:
        """The best place of those that wait on a device to go on."""
        places = [
            one.task.place
            for one in self.leases.values()
            if one.is_suspended and one.device == device_id
        ]
        return min(places, default=None)


class Facts:
    """Follows the event table."""

    def __init__(self, world: World, hosts: Sequence[Host], *, step_seconds: float | None) -> None:
        self._world = world
        self.nodes = {host.id: NodeFacts(host=host) for host in hosts}
        self._gpu_nodes = [
            one for one in self.nodes.values() if any(d.is_gpu for d in one.host.devices)
        ]
        self.tasks: dict[str, Task] = {}
        self.pending = Pending(step_seconds)
        self.ended = 0
        self.raised: Counter[str] = Counter()
        """Ranks by which the farm raised jobs since somebody last took them from here."""
        self.counts: Counter[str] = Counter()
        self.starts: Counter[tuple[str, str, str]] = Counter()
        """First starts by kind of node, kind of device and hardware asked for."""
        self.put_back: list[Task] = []
        """Tasks that wait again since somebody last took them from here."""
        self._seen = 0
        self._is_reserved = False
        self._room: frozenset[str] | None = None
        self._acts: Mapping[str, Callable[[str, str, int, str], None]] = {
            EventKind.JOB_CLAIMED: self._claimed,
            EventKind.JOB_COMPLETED: self._ended,
            EventKind.JOB_FAILED: self._ended,
            EventKind.JOB_RETRY_SCHEDULED: self._retried,
            EventKind.JOB_RELEASED: self._put_back,
            EventKind.JOB_PREEMPTED: self._put_back,
            EventKind.JOB_PAUSED: self._paused,
            EventKind.JOB_RESUMED: self._resumed,
            EventKind.JOB_RAISED: self._raised,
            EventKind.NODE_REGISTERED: self._online,
            EventKind.NODE_ONLINE: self._online,
            EventKind.NODE_OFFLINE: self._offline,
            EventKind.NODE_DRAINING: self._node_aside,
            EventKind.NODE_UNDRAINED: self._node_back,
            EventKind.DEVICE_SET_ASIDE: self._device_aside,
            EventKind.DEVICE_TRUSTED: self._device_back,
        }

    def submitted(self, job: Any, work: Work) -> None:
        """A job was accepted."""
        task = Task(
            id=job.id,
            number=job.sequence_number,
            queue=Queue(work.request.queue),
            asked=str(work.request.hardware),
            base_rank=rank_of(work.request.queue, Priority(work.request.priority)),
            rank=rank_of(work.request.queue, Priority(work.request.priority)),
            since=self._world.seconds,
            due_at=self._world.seconds,
            run_seconds=work.run_seconds,
            needs=work.request.requires,
        )
        self.tasks[task.id] = task
        self.pending.add(task)

    def catch_up(self, *, is_reserved: bool = False) -> None:
        """Read what has happened; ``is_reserved`` says for which slot the last claim was."""
        self._is_reserved = is_reserved
        rows = self._world.store.sql(
            "SELECT id, kind, job_id, node_id, attempt, data FROM events WHERE id > ? ORDER BY id",
            self._seen,
        )
        for number, kind, job_id, node_id, attempt, data in rows:
            self._seen, self._room = number, None
            act = self._acts.get(kind)
            if act is not None:
                self.counts[kind] += 1
                act(job_id, node_id, attempt, data)

    def gpus_with_room(self) -> frozenset[str]:
        """Needs that some GPU with a free slot meets now, as well as a CPU."""
        if self._room is None:
            self._room = self._find_room()
        return self._room

    def _find_room(self) -> frozenset[str]:
        return frozenset(
            need
            for node in self._gpu_nodes
            if node.is_open
            for device in node.host.devices
            if device.is_gpu and device.id not in node.aside
            if node.free(device, is_reserved=False) > 0
            for need in device.capabilities
            if need.startswith("auto:")
        )

    def _claimed(self, job_id: str, node_id: str, attempt: int, data: str) -> None:
        task, node = self.tasks[job_id], self.nodes[node_id]
        device = json.loads(data)["device"]
        self.pending.take(task)
        node.leases[job_id, attempt] = Lease(
            task=task,
            device=device,
            is_reserved=self._is_reserved,
            began_at=self._world.seconds,
        )
        if task.started_after is None:
            task.started_after = self._world.seconds - task.since
            family = "cpu" if device == CPU_DEVICE else "gpu"
            self.starts[node.host.kind, family, task.asked] += 1

    def _ended(self, job_id: str, node_id: str, attempt: int, _data: str) -> None:
        self.nodes[node_id].leases.pop((job_id, attempt))
        self.tasks[job_id].is_ended = True
        self.ended += 1

    def _retried(self, job_id: str, node_id: str, attempt: int, _data: str) -> None:
        task = self.tasks[job_id]
        query = "SELECT requires, avoid, retry_at, avoid_until FROM jobs WHERE id = ?"
        ((needs, avoid, retry_at, avoid_until),) = self._world.store.sql(query, job_id)
        task.needs = needs
        task.avoid = frozenset(name for name in avoid.split("|") if name)
        task.retry_at = self._world.moment(retry_at) or 0.0
        task.avoid_until = self._world.moment(avoid_until) or 0.0
        self._put_back(job_id, node_id, attempt, "")

    def _put_back(self, job_id: str, node_id: str, attempt: int, _data: str) -> None:
        self.nodes[node_id].leases.pop((job_id, attempt))
        task = self.tasks[job_id]
        self.put_back.append(task)
        task.due_at = max(self._world.seconds, task.retry_at, task.avoid_until)
        self.pending.add(task)

    def _paused(self, job_id: str, node_id: str, attempt: int, _data: str) -> None:
        self.nodes[node_id].leases[job_id, attempt].is_suspended = True

    def _resumed(self, job_id: str, node_id: str, attempt: int, _data: str) -> None:
        self.nodes[node_id].leases[job_id, attempt].is_suspended = False

    def _raised(self, job_id: str, _node_id: str, _attempt: int, _data: str) -> None:
        self.raised[job_id] += 1

    def _online(self, _job_id: str, node_id: str, _attempt: int, _data: str) -> None:
        self.nodes[node_id].is_offline = False

    def _offline(self, _job_id: str, node_id: str, _attempt: int, _data: str) -> None:
        self.nodes[node_id].is_offline = True

    def _node_aside(self, _job_id: str, node_id: str, _attempt: int, _data: str) -> None:
        self.nodes[node_id].aside.add(WHOLE_NODE)

    def _node_back(self, _job_id: str, node_id: str, _attempt: int, _data: str) -> None:
        self.nodes[node_id].aside.discard(WHOLE_NODE)

    def _device_aside(self, _job_id: str, node_id: str, _attempt: int, data: str) -> None:
        self.nodes[node_id].aside.add(json.loads(data)["device"])

    def _device_back(self, _job_id: str, node_id: str, _attempt: int, data: str) -> None:
        self.nodes[node_id].aside.discard(json.loads(data)["device"])
