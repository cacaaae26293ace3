"""The fleet: nodes of every kind, and what goes wrong with some of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from ffrtmp.domain.device import Device
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.placement import capabilities
from ffrtmp.domain.ranking import Queue
from tests import builders

GPU_SPEED = 3.0
"""By which a GPU is faster than a CPU slot."""
TROUBLED = 0.25
"""The share of nodes that something happens to."""
ALL = tuple(Queue)
OLD_CODECS = (Codec.H264, Codec.HEVC)


class Kind(StrEnum):
    """What a node is for."""

    SMALL = "cpu small"
    LARGE = "cpu large"
    OLD = "cpu old codecs"
    LIVE = "cpu live only"
    BATCH = "cpu default and batch"
    RESERVED = "cpu reserving for live"
    GPU = "gpu"
    TWO_GPUS = "two gpus"
    AV1 = "gpu with av1"
    GPU_RESERVED = "gpu reserving for live"


KINDS = (
    *(Kind.SMALL,) * 5,
    *(Kind.LARGE,) * 4,
    Kind.OLD,
    Kind.LIVE,
    Kind.BATCH,
    *(Kind.RESERVED,) * 2,
    *(Kind.GPU,) * 2,
    Kind.TWO_GPUS,
    *(Kind.AV1,) * 2,
    Kind.GPU_RESERVED,
)

FEW_ABLE = (*(Kind.OLD,) * 8, Kind.LARGE, Kind.AV1)
"""Most nodes that hear of a job in a new codec cannot run it."""


class Trouble(StrEnum):
    """What may happen to a node."""

    GONE = "silent for good"
    AWAY = "silent and back"
    SICK = "fails every job for a while"
    SICK_GPU = "one gpu fails every job for a while"
    RESTART = "restarts with a new epoch"


@dataclass(frozen=True, slots=True, kw_only=True)
class Mishap:
    """A trouble, when it begins and when it is over."""

    trouble: Trouble
    at_seconds: float
    until_seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Host:
    """A node as it registers, and what will happen to it."""

    id: str
    kind: Kind
    devices: tuple[Device, ...]
    queues: tuple[Queue, ...] = ALL
    reserve_live: int = 0
    mishap: Mishap | None = None

    @property
    def work_per_second(self) -> float:
        """CPU seconds of encoding that it does in one second."""
        return sum(one.slots * (GPU_SPEED if one.is_gpu else 1.0) for one in self.devices)

    def can_run(self, requires: str, queue: Queue) -> bool:
        """Whether one of its devices could."""
        return queue in self.queues and any(requires in one.capabilities for one in self.devices)


def fleet(count: int, rng: random.Random, kinds: Sequence[Kind] = KINDS) -> Sequence[Host]:
    """Nodes of these kinds in turn, none of them in trouble yet."""
    return [_host(f"node-{n:03d}", kinds[n % len(kinds)], rng) for n in range(count)]


def troubled(hosts: Sequence[Host], *, until: float, rng: random.Random) -> Sequence[Host]:
    """The same, with something happening to some; never to the first of each kind."""
    first = {host.kind: host for host in reversed(hosts)}
    return [
        host
        if host is first[host.kind] or rng.random() >= TROUBLED
        else _with_mishap(host, until, rng)
        for host in hosts
    ]


def _host(name: str, kind: Kind, rng: random.Random) -> Host:
    cpu = builders.cpu
    match kind:
        case Kind.SMALL:
            return Host(id=name, kind=kind, devices=(cpu(slots=rng.randint(1, 2)),))
        case Kind.LARGE:
            return Host(id=name, kind=kind, devices=(cpu(slots=rng.randint(4, 8)),))
        case Kind.OLD:
            able = capabilities((Hardware.CPU, codec) for codec in OLD_CODECS)
            return Host(id=name, kind=kind, devices=(cpu(slots=4, capabilities=able),))
        case Kind.LIVE:
            return Host(id=name, kind=kind, devices=(cpu(slots=2),), queues=(Queue.LIVE,))
        case Kind.BATCH:
            queues = (Queue.DEFAULT, Queue.BATCH)
            return Host(id=name, kind=kind, devices=(cpu(slots=4),), queues=queues)
        case Kind.RESERVED:
            return Host(id=name, kind=kind, devices=(cpu(slots=4),), reserve_live=1)
        case _:
            return _gpu_host(name, kind)


def _gpu_host(name: str, kind: Kind) -> Host:
    cpu, gpu = builders.cpu(slots=2), builders.gpu
    both = (gpu(0, slots=2), gpu(1, slots=2))
    match kind:
        case Kind.TWO_GPUS:
            # Of different makes: only the second does HEVC.
            mixed = (gpu(0, slots=2, codecs=(Codec.H264,)), gpu(1, slots=2))
            return Host(id=name, kind=kind, devices=(cpu, *mixed))
        case Kind.AV1:
            new = gpu(0, slots=2, codecs=(Codec.H264, Codec.HEVC, Codec.AV1))
            return Host(id=name, kind=kind, devices=(cpu, new))
        case Kind.GPU_RESERVED:
            return Host(id=name, kind=kind, devices=(cpu, *both), reserve_live=1)
        case _:
            return Host(id=name, kind=kind, devices=(cpu, both[0]))


def _with_mishap(host: Host, until: float, rng: random.Random) -> Host:
    able = [one for one in Trouble if one is not Trouble.SICK_GPU or len(host.devices) > 1]
    at = rng.uniform(0.1, 0.8) * until
    mishap = Mishap(
        trouble=rng.choice(able),
        at_seconds=at,
        until_seconds=at + rng.uniform(0.05, 0.3) * until,
    )
    return replace(host, mishap=mishap)
