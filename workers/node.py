"""What this node says of itself: its size, what it can encode, how loaded it is."""

import logging
import os
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ffrtmp
from ffrtmp.config import WorkerSettings
from ffrtmp.domain.device import CPU_DEVICE, Device, all_capabilities
from ffrtmp.domain.ranking import Queue
from ffrtmp.domain.spec import Limits
from ffrtmp.schemas import DeviceSaid, HeldAttempt, NodeRegistration
from workers.box.box import Box
from workers.box.found import find_box
from workers.errors import AgentError
from workers.gstreamer.found import Gstreamer
from workers.hardware import host
from workers.hardware.devices import Targets, found_devices
from workers.hardware.gpus import find_gpus
from workers.identity import Identity, default_state_folder
from workers.ledger import Ledger
from workers.limits.means import Means, find_means, name_for
from workers.slots import Slots
from workers.staging import Places

log = logging.getLogger(__name__)
MAX_SLOTS = 256
"""What a registration without devices may have; the devices say what counts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """The node, measured once at its start."""

    threads: int
    queues: tuple[Queue, ...]
    hardware: dict[str, Any]
    devices: tuple[Device, ...]
    """What encodes here: the CPU, then its GPUs."""
    targets: Targets
    means: Means
    """By what attempts are limited here."""
    box: Box
    """What their processes are in."""
    gstreamer: Gstreamer | None
    """None where there is none that works."""


def measure(settings: WorkerSettings, ffmpeg: Path) -> NodeFacts:
    """Look at this host; FfmpegMissing where ffmpeg does not run, AgentError without its box."""
    cores = host.usable_cores()
    box = box_of(settings, ffmpeg, cache_folder=state_folder(settings))
    found = found_devices(
        ffmpeg,
        gpus=find_gpus() if settings.gpu_slots else (),
        cpu_slots=cpu_slots(settings.slots, cores),
        gpu_slots=settings.gpu_slots,
        cache_folder=state_folder(settings),
        box=box,
    )
    means = find_means(name_for(state_folder(settings)))
    hardware = host.describe(ffmpeg, places(settings).output_folder) | found.facts()
    return NodeFacts(
        threads=encoder_threads(sum(device.slots for device in found.devices), cores),
        queues=tuple(settings.queues),
        hardware=hardware | {"limits": means.named(), "box": box.name},
        devices=found.devices,
        targets=found.targets,
        means=means,
        box=box,
        gstreamer=found.gstreamer if isinstance(found.gstreamer, Gstreamer) else None,
    )


def box_of(settings: WorkerSettings, ffmpeg: Path, *, cache_folder: Path | None = None) -> Box:
    """The box of this node; AgentError where the one that is asked for cannot be had."""
    box = find_box(
        ffmpeg,
        wanted=settings.sandbox,
        user=settings.media_user,
        has_gpus=settings.gpu_slots > 0,
        cache_folder=cache_folder,
    )
    log.info("the box around media: %s", "; ".join((box.name, *box.reasons)))
    if box.user is None and os.getuid() == 0:
        log.warning("media are read with the rights of root: see --sandbox")
    return box


def slots_of(settings: WorkerSettings, facts: NodeFacts) -> Slots:
    """The slots of this node; AgentError where none could be kept for the live queue as asked."""
    counts = {device.id: device.slots for device in facts.devices}
    if settings.reserve_live > counts[CPU_DEVICE]:
        raise AgentError(
            f"reserve_live is {settings.reserve_live}, but the CPU has {counts[CPU_DEVICE]} slots"
        )
    if settings.reserve_live and Queue.LIVE not in facts.queues:
        raise AgentError("reserve_live keeps slots for the live queue, which this node leaves out")
    return Slots(counts, reserve_live=settings.reserve_live)


def cpu_slots(asked: int | None, cores: int) -> int:
    """How many attempts at once on the CPU: half the cores, unless asked otherwise."""
    return asked or max(1, cores // 2)


def encoder_threads(slots: int, cores: int) -> int:
    """ffmpeg's threads in each slot, those of GPUs too: together no more than there are cores."""
    return max(1, cores // slots)


def state_folder(settings: WorkerSettings) -> Path:
    """Where identity and spool are kept."""
    return (settings.state_dir or default_state_folder()).absolute()


def places(settings: WorkerSettings) -> Places:
    """Where inputs may lie and outputs may go."""
    output = settings.work_dir or state_folder(settings) / "output"
    return Places(
        output_folder=output.absolute(),
        media_roots=tuple(root.absolute() for root in settings.media_roots),
        output_roots=tuple(root.absolute() for root in settings.output_roots),
        allow_networks=tuple(settings.allow_networks),
    )


def ceilings(settings: WorkerSettings) -> Limits:
    """What no attempt here may pass, whatever its job asks for."""
    return Limits(
        timeout_seconds=settings.attempt_timeout,
        max_cpu_percent=settings.max_cpu_percent,
        max_memory_mb=settings.max_memory_mb,
        max_disk_mb=settings.max_disk_mb,
    )


def registration(
    settings: WorkerSettings, identity: Identity, facts: NodeFacts, ledger: Ledger
) -> NodeRegistration:
    """The body that makes this process the node; what the ledger holds survives it."""
    return NodeRegistration(
        address=settings.address or socket.gethostname(),
        name=settings.name,
        node_id=identity.node_id,
        node_token=identity.token,
        slots=min(MAX_SLOTS, sum(device.slots for device in facts.devices)),
        queues=list(facts.queues),
        capabilities=list(all_capabilities(facts.devices)),
        devices=[
            DeviceSaid(
                id=device.id,
                name=device.name,
                slots=device.slots,
                capabilities=list(device.capabilities),
            )
            for device in facts.devices
        ],
        reserve_live=settings.reserve_live,
        hardware=facts.hardware,
        version=ffrtmp.__version__,
        holding=[
            HeldAttempt(job_id=held.job_id, attempt=held.number) for held in ledger.attempts()
        ],
    )
