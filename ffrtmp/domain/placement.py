"""Which node and device may run which job."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from ffrtmp.domain.device import GPU_FAMILIES, Device
from ffrtmp.domain.job import Job
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.node import Node

GSTREAMER_NEED = "gstreamer:cpu:h264"
"""Met by a node whose GStreamer really publishes; it encodes H.264 on the CPU and nothing else."""
TEN_BIT = "10bit"
"""Ends a requirement that only an encoder of 10 bit pictures meets."""


def capabilities(
    encoders: Iterable[tuple[Hardware, Codec]],
    *,
    ten_bit: Iterable[tuple[Hardware, Codec]] = (),
) -> tuple[str, ...]:
    """Every requirement that a set of working encoders meets, sorted.

    A CPU h264 encoder meets ``cpu:h264`` and ``auto:h264``; an NVENC one meets ``nvenc:h264``,
    ``gpu:h264`` and ``auto:h264``. Those that also encode 10 bit pictures are named in
    ``ten_bit`` and meet ``cpu:h264:10bit`` and so on besides.
    """
    deep = {f"{met}:{TEN_BIT}" for met in _met_by(ten_bit)}
    return tuple(sorted(_met_by(encoders) | deep))


def _met_by(encoders: Iterable[tuple[Hardware, Codec]]) -> set[str]:
    met = set()
    for hardware, codec in encoders:
        met |= {f"{hardware}:{codec}", f"{Hardware.AUTO}:{codec}"}
        if hardware in GPU_FAMILIES:
            met.add(f"{Hardware.GPU}:{codec}")
    return met


def needs_gpu(hardware: Hardware) -> bool:
    """True where only a hardware encoder will do; such jobs ride the ``.gpu`` queues."""
    return hardware is Hardware.GPU or hardware in GPU_FAMILIES


def takes_any(requires: str) -> bool:
    """True for a need that both a GPU and the CPU meet."""
    return requires.startswith(f"{Hardware.AUTO}:")


def on_cpu(requires: str) -> str:
    """The same need, met by the CPU only."""
    return f"{Hardware.CPU}:{requires.partition(':')[2]}"


def asked_need(hardware: Hardware, requires: str) -> str:
    """What a job asked for at first, whatever a failure has made of its need since."""
    if requires == GSTREAMER_NEED:
        return requires
    return f"{hardware}:{requires.partition(':')[2]}"


def place_of(node_id: str, device_id: str) -> str:
    """How a job's ``avoid`` names a device of a node."""
    return f"{node_id}/{device_id}"


def is_avoiding(job: Job, node_id: str, device_id: str, *, now: datetime) -> bool:
    """True while a retry leaves the chance to where it has not failed."""
    if job.avoid_until is None or job.avoid_until <= now:
        return False
    return node_id in job.avoid or place_of(node_id, device_id) in job.avoid


def able_devices(node: Node, job: Job) -> Sequence[Device]:
    """The devices of a node that could run this job, with or without room, avoided or not."""
    if not node.accepts_work or job.queue not in node.queues:
        return ()
    return [device for device in node.devices_at_work if job.requires in device.capabilities]


def willing_devices(node: Node, job: Job, *, now: datetime) -> Sequence[Device]:
    """Those on which a claim may be given this job: the same rule as the store's claim."""
    return [
        device
        for device in able_devices(node, job)
        if not is_avoiding(job, node.id, device.id, now=now)
    ]
