"""Which node may run which job."""

from collections.abc import Iterable
from datetime import datetime

from ffrtmp.domain.job import Job
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.node import Node

GPU_FAMILIES = (Hardware.NVENC, Hardware.QSV, Hardware.VAAPI)


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


def can_run(node: Node, job: Job, *, now: datetime) -> bool:
    """Whether a claim by this node may be given this job: the same rule as the store's claim."""
    return (
        node.accepts_work
        and job.queue in node.queues
        and job.requires in node.capabilities
        and not is_avoiding(job, node.id, now=now)
    )


def is_avoiding(job: Job, node_id: str, *, now: datetime) -> bool:
    """True while a retry leaves the chance to a node it has not failed on."""
    return job.avoid_node_id == node_id and job.avoid_until is not None and job.avoid_until > now
