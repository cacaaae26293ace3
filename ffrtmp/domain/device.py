"""A device: something of a node that encodes, its CPU or one GPU."""

from collections.abc import Iterable
from dataclasses import dataclass

from ffrtmp.domain.media import Hardware

CPU_DEVICE = "cpu"
"""The id of every node's CPU; GPUs are ``gpu0``, ``gpu1`` and so on."""
GPU_FAMILIES = (Hardware.NVENC, Hardware.QSV, Hardware.VAAPI)
"""Hardware encoders, the preferred first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """A slot is room for one attempt on one device; ``capabilities`` are what it can run."""

    id: str
    name: str
    slots: int
    capabilities: tuple[str, ...]

    @property
    def is_gpu(self) -> bool:
        """True for anything but the CPU."""
        return self.id != CPU_DEVICE


def hardware_for(requires: str, device: Device) -> Hardware:
    """The encoder family a device uses for a job that requires this: a concrete one."""
    wanted, _, picture = requires.partition(":")
    if wanted in GPU_FAMILIES:
        return Hardware(wanted)
    if not device.is_gpu:
        return Hardware.CPU
    return next(
        (family for family in GPU_FAMILIES if f"{family}:{picture}" in device.capabilities),
        Hardware.CPU,
    )


def all_capabilities(devices: Iterable[Device]) -> tuple[str, ...]:
    """What some device of a node can run, sorted."""
    return tuple(sorted({one for device in devices for one in device.capabilities}))
