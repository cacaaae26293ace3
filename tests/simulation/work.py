"""What a simulated node does with one attempt, and what it is built of."""

import random
from dataclasses import dataclass, field
from enum import StrEnum

from ffrtmp.domain.attempt import AttemptProgress
from ffrtmp.domain.device import GPU_FAMILIES
from ffrtmp.domain.hint import node_queue_name, queue_names
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.placement import capabilities
from ffrtmp.domain.ranking import Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.attempts import Grant

Key = tuple[str, int]
LONG_AGO = -1e9

PLAIN = [(Hardware.CPU, Codec.H264)]
SOFTWARE = [(Hardware.CPU, codec) for codec in Codec]
GPU = [*SOFTWARE, (GPU_FAMILIES[0], Codec.H264)]


class Fate(StrEnum):
    """What running a job leads to, decided when the job is made."""

    FINE = "fine"
    BROKEN = "broken"  # permanent
    FLAKY = "flaky"  # transient, on the first attempt
    POISON = "poison"  # kills the agent, every time
    STUCK = "stuck"  # progress stops, on the first attempt


PERMANENT = [one for one in FailureClass if one.is_permanent and one != "output_exists"]
PASSING = [
    FailureClass.ENCODER,
    FailureClass.KILLED,
    FailureClass.CONNECTION,
    FailureClass.AGENT,
    FailureClass.OUTPUT_WRONG,
]
OF_THE_HOST = [FailureClass.HARDWARE, FailureClass.ENCODER, FailureClass.KILLED]


class Phase(StrEnum):
    """How far an attempt's own work is; from ENCODED on it survives the process."""

    RUNNING = "running"
    ENCODED = "encoded"
    COMMITTED = "committed"
    PUBLISHED = "published"
    FAILED = "failed"


@dataclass
class Work:
    """One attempt in a node's hands; ``lease_until`` is what a stream's leash goes by."""

    grant: Grant
    lease_until: float
    phase: Phase = Phase.RUNNING
    failure: FailureClass | None = None
    sha256: str = ""
    moved: int = 0
    stands_still: bool = False
    has_asked: bool = False
    """Whether a commit was ever sent."""
    committed_at: float = LONG_AGO

    @property
    def key(self) -> Key:
        """Job and attempt number."""
        return (self.grant.job.id, self.grant.attempt.number)

    @property
    def is_stream(self) -> bool:
        """Whether two of it at once would be two publishers."""
        return self.grant.job.is_stream

    def progress(self) -> AttemptProgress:
        """Its line in a heartbeat."""
        self.moved += 0 if self.stands_still else 1
        return AttemptProgress(
            job_id=self.key[0],
            number=self.key[1],
            progress=0.5,
            mark=str(self.moved),
            phase=self.phase,
        )


@dataclass
class Process:
    """What dies with the agent."""

    began_at: float
    registration_id: str = ""
    epoch: int = 0
    seq: int = 0
    running: dict[Key, Work] = field(default_factory=dict)
    in_flight: set[str] = field(default_factory=set)
    is_closing: bool = False
    is_draining: bool = False
    slots_lost: int = 0


@dataclass(frozen=True)
class Host:
    """What a node is built of; it may be rebuilt between two processes."""

    slots: int
    queues: tuple[Queue, ...]
    capabilities: tuple[str, ...]

    def hears(self, node_id: str) -> tuple[str, ...]:
        """The Celery queues its child listens to."""
        with_gpu = any(one.startswith(f"{Hardware.GPU}:") for one in self.capabilities)
        shared = queue_names(with_gpu=with_gpu)
        wanted = tuple(name for name in shared if name.partition(".")[0] in self.queues)
        return (node_queue_name(node_id), *wanted)


def build_host(rng: random.Random, *, runs_everything: bool) -> Host:
    """Any host; where it ``runs_everything`` no job of the workload is without a place."""
    queues = tuple(Queue)
    if not runs_everything and rng.random() < 0.25:
        queues = tuple(rng.sample(queues, 2))
    able = GPU if runs_everything else rng.choice([PLAIN, PLAIN, SOFTWARE, GPU])
    return Host(slots=rng.randint(1, 3), queues=queues, capabilities=capabilities(able))
