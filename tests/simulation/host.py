"""What a simulated host is built of: its devices, their pools of slots, and what these hear."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from ffrtmp.domain.device import Device
from ffrtmp.domain.hint import GPU_SUFFIX, node_queue_name
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.placement import capabilities
from ffrtmp.domain.ranking import Queue
from tests import builders

PLAIN = (Codec.H264,)
GPU_CODECS = ((Codec.H264,), (Codec.H264, Codec.HEVC))
SLOTS = (1, 2)
HAS_GPU, HAS_TWO, RESERVES = 0.4, 0.4, 0.6


@dataclass(frozen=True)
class Pool:
    """Slots of one kind: of the CPU or of all GPUs, kept for the live queue or for anything."""

    is_gpu: bool
    is_reserved: bool


POOLS = tuple(
    Pool(is_gpu, is_reserved) for is_gpu in (False, True) for is_reserved in (False, True)
)


@dataclass(frozen=True)
class Host:
    """What a node is built of; it may be rebuilt between two processes."""

    devices: tuple[Device, ...]
    queues: tuple[Queue, ...]
    reserve_live: int = 0

    def alike(self, pool: Pool) -> Sequence[Device]:
        """The devices of a pool."""
        return [device for device in self.devices if device.is_gpu == pool.is_gpu]

    def slots(self, pool: Pool) -> int:
        """How many slots a pool has."""
        every = sum(device.slots for device in self.alike(pool))
        reserved = min(self.reserve_live, every)
        return reserved if pool.is_reserved else every - reserved

    def hears(self, node_id: str, pool: Pool) -> tuple[str, ...]:
        """The Celery queues that the child of a pool listens to."""
        suffix = GPU_SUFFIX if pool.is_gpu else ""
        if pool.is_reserved:
            return (f"{Queue.LIVE}{suffix}",)
        shared = tuple(f"{queue}{suffix}" for queue in self.queues)
        return (node_queue_name(node_id, is_gpu=pool.is_gpu), *shared)


def build_host(rng: random.Random, *, runs_everything: bool, is_small: bool) -> Host:
    """Any host; where it ``runs_everything`` no job of the workload is without a place."""
    sizes = SLOTS[:1] if is_small else SLOTS
    queues = tuple(Queue)
    if not runs_everything and rng.random() < 0.25:
        queues = tuple(rng.sample(queues, 2))
    codecs = tuple(Codec) if runs_everything else rng.choice([PLAIN, PLAIN, tuple(Codec)])
    devices = [_cpu(rng.choice(sizes), codecs)]
    if runs_everything or rng.random() < HAS_GPU:
        count = 2 if rng.random() < HAS_TWO and not is_small else 1
        devices += [
            builders.gpu(number, slots=rng.choice(sizes), codecs=rng.choice(GPU_CODECS))
            for number in range(count)
        ]
    host = Host(devices=tuple(devices), queues=queues)
    keeps_some = all(host.slots(pool) != 1 for pool in POOLS)
    if Queue.LIVE in queues and keeps_some and rng.random() < RESERVES:
        return replace(host, reserve_live=1)
    return host


def _cpu(slots: int, codecs: Sequence[Codec]) -> Device:
    able = capabilities((Hardware.CPU, codec) for codec in codecs)
    return builders.cpu(slots=slots, capabilities=able)
