"""What a simulated node does with one attempt, and what it is built of."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from ffrtmp.domain.attempt import AttemptProgress
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.attempts import Grant

Key = tuple[str, int]
Slot = tuple[str, bool]
"""On which device, and whether it is one of those kept for the live queue."""
LONG_AGO = -1e9


class Fate(StrEnum):
    """What running a job leads to, decided when the job is made."""

    FINE = "fine"
    BROKEN = "broken"  # permanent
    FLAKY = "flaky"  # transient, on the first attempt
    POISON = "poison"  # kills the agent, every time
    STUCK = "stuck"  # progress stops, on the first attempt
    NOT_FOR_GPUS = "not for gpus"  # every GPU fails it


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
    is_paused: bool = False
    """Whether its process is stopped, and its slot given away."""
    seconds_left: float = 0.0
    goes_since: float = 0.0
    stretches: int = 0
    """How often it was started or let go on: an end that an earlier stretch foresaw is void."""
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

    @property
    def device(self) -> str:
        """What it runs on."""
        return self.grant.attempt.device

    def progress(self) -> AttemptProgress:
        """Its line in a heartbeat."""
        self.moved += 0 if self.stands_still or self.is_paused else 1
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
    in_flight: dict[str, Slot] = field(default_factory=dict)
    is_closing: bool = False
    is_draining: bool = False
    aside: frozenset[str] = frozenset()
    """Devices that the master has set aside."""
    lost: Counter[str] = field(default_factory=Counter)
    """Slots written off, of each device."""
