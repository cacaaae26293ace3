"""What this node says of itself: its size, what it can encode, how loaded it is."""

import socket
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import ffrtmp
from ffrtmp.config import WorkerSettings
from ffrtmp.domain.device import GPU_FAMILIES, Device
from ffrtmp.domain.hint import node_queue_name, queue_names
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.placement import capabilities
from ffrtmp.domain.ranking import Queue
from ffrtmp.schemas import HeldAttempt, NodeRegistration
from workers.hardware import host
from workers.hardware.devices import Targets, found_devices, working_pairs
from workers.hardware.gpus import find_gpus
from workers.identity import Identity, default_state_folder
from workers.ledger import Ledger
from workers.staging import Places


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeFacts:
    """The node, measured once at its start."""

    slots: int
    threads: int
    queues: tuple[Queue, ...]
    encoders: frozenset[tuple[Hardware, Codec]]
    hardware: dict[str, Any]
    devices: tuple[Device, ...] = ()
    targets: Targets = field(default_factory=dict)

    @property
    def has_gpu(self) -> bool:
        """True where a hardware encoder passed its test."""
        return any(hardware in GPU_FAMILIES for hardware, _ in self.encoders)

    def queue_names(self, node_id: str) -> tuple[str, ...]:
        """The Celery queues to listen to, best first."""
        shared = queue_names(with_gpu=self.has_gpu)
        wanted = tuple(name for name in shared if name.partition(".")[0] in self.queues)
        return (node_queue_name(node_id), *wanted)


def measure(settings: WorkerSettings, ffmpeg: Path) -> NodeFacts:
    """Look at this host; FfmpegMissing where ffmpeg does not run."""
    slots, threads = slots_and_threads(settings.slots, host.usable_cores())
    found = found_devices(
        ffmpeg,
        gpus=find_gpus() if settings.gpu_slots else (),
        cpu_slots=slots,
        gpu_slots=settings.gpu_slots,
        cache_folder=state_folder(settings),
    )
    return NodeFacts(
        slots=slots,
        threads=threads,
        queues=tuple(settings.queues),
        # Hardware encoders stay unsaid until a command line can be built for them: a job for one
        # waits, where it would otherwise end as unsupported.
        encoders=frozenset(pair for pair in working_pairs(found.trials) if pair[0] is Hardware.CPU),
        hardware=host.describe(ffmpeg, places(settings).output_folder) | found.facts(),
        devices=found.devices,
        targets=found.targets,
    )


def slots_and_threads(asked: int | None, cores: int) -> tuple[int, int]:
    """How many attempts at once, and the encoder threads of each: half the cores, shared out."""
    slots = asked or max(1, cores // 2)
    return slots, max(1, cores // slots)


def state_folder(settings: WorkerSettings) -> Path:
    """Where identity and spool are kept."""
    return (settings.state_dir or default_state_folder()).absolute()


def places(settings: WorkerSettings) -> Places:
    """Where inputs may lie and outputs go."""
    output = settings.work_dir or state_folder(settings) / "output"
    return Places(output_folder=output.absolute(), media_roots=tuple(settings.media_roots))


def registration(
    settings: WorkerSettings, identity: Identity, facts: NodeFacts, ledger: Ledger
) -> NodeRegistration:
    """The body that makes this process the node; what the ledger holds survives it."""
    return NodeRegistration(
        address=settings.address or socket.gethostname(),
        name=settings.name,
        node_id=identity.node_id,
        node_token=identity.token,
        slots=facts.slots,
        queues=list(facts.queues),
        capabilities=list(capabilities(facts.encoders)),
        hardware=facts.hardware,
        version=ffrtmp.__version__,
        holding=[
            HeldAttempt(job_id=held.job_id, attempt=held.number) for held in ledger.attempts()
        ],
    )
