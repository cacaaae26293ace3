"""Attempts on the wire: claims, commits, results."""

from datetime import datetime
from typing import Annotated, Self

from pydantic import (
    AfterValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from ffrtmp.domain.attempt import Outcome, Pause
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.ranking import Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import JobSpec
from ffrtmp.schemas.base import (
    MAX_COUNT,
    Answer,
    Count,
    Facts,
    Moment,
    Name,
    Ordinal,
    Text,
    Token,
    Wire,
    example,
)
from ffrtmp.schemas.nodes import DeviceId

MAX_LOG_BYTES = 1 << 20
MAX_ARGV_CHARACTERS = 256 << 10


class AttemptAnswer(Answer):
    """One run of a job."""

    number: int
    node_id: str
    node_name: str
    state: str
    outcome: Outcome | None
    failure_class: FailureClass | None
    error: str | None
    exit_code: int | None
    argv: list[str]
    started_at: datetime
    ended_at: datetime | None
    progress: float
    phase: str | None
    bits_per_second: int | None = None
    """Of what came out, as last heard."""
    dropped_frames: int | None = None
    device: str = "cpu"
    """What it runs on: ``cpu``, ``gpu0`` and so on."""
    hardware: Hardware = Hardware.CPU
    """With which kind of encoder."""
    pause: Pause | None = None
    """Why it is suspended, null where it is not."""


class AttemptList(Answer):
    """All runs of a job, first to last."""

    attempts: list[AttemptAnswer]


class ClaimRequest(Wire):
    """The body of POST /claims; ``claim_id`` is one per task body, the same on every retry."""

    model_config = example(
        {
            "node_id": "35d5e1ef-6fcb-4814-92a0-463de6b4d3ef",
            "epoch": 1,
            "claim_id": "6b1f8d0c5a7e4c21",
        }
    )

    node_id: Name
    epoch: Ordinal
    claim_id: Annotated[Token, Field(min_length=16, max_length=64)]
    heartbeat_seq: Count = 0
    """Heartbeats built when this claim was first sent."""
    job_id: Name | None = None
    """The job of the hint, for information only."""
    device: DeviceId = "cpu"
    """The device with a free slot."""
    is_reserved: StrictBool = False
    """The slot is one of those kept for the live queue."""


class ClaimAnswer(Answer):
    """A lease, and all the node needs to run the attempt."""

    job_id: str
    sequence_number: int
    scenario: str
    queue: Queue
    attempt: int
    lease: str
    spec: JobSpec
    committed_sha256: list[str]
    """What earlier attempts committed: a destination that has one of these is this job's own."""
    device: str = "cpu"
    hardware: Hardware = Hardware.CPU
    """The kind of encoder to use: a concrete one, never ``auto`` or ``gpu``."""
    trace_parent: str | None


Sha256 = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
Lease = Annotated[Token, Field(min_length=16, max_length=128)]
Size = Annotated[StrictInt, Field(ge=0, lt=1 << 53)]
"""Bytes, as many as every reader of JSON tells apart."""


class CommitRequest(Wire):
    """The body of POST /attempts/{job}/{n}/commit; a stream has neither size nor hash."""

    model_config = example(
        {
            "lease": "k3wWm2hJrI8q1m9dXxQy0Q",
            "size": 216758,
            "sha256": "4d90408d94b2926a8c675ef0b8294f484ebe71dd56cade4927d722e43c9d7219",
        }
    )

    lease: Lease
    size: Size | None = None
    sha256: Sha256 | None = None


class CommitAnswer(Answer):
    """The fence is passed: publish now."""

    status: JobStatus


class ReleaseRequest(Wire):
    """The body of POST /attempts/{job}/{n}/release: given back unharmed."""

    model_config = example({"lease": "k3wWm2hJrI8q1m9dXxQy0Q", "reason": "the agent stops"})

    lease: Lease
    reason: Annotated[Text, Field(max_length=255)] = ""


class LogChunk(Wire):
    """The body of POST /attempts/{job}/{n}/logs: text that continues the log at ``offset``."""

    model_config = example({"lease": "k3wWm2hJrI8q1m9dXxQy0Q", "offset": 0, "text": "frame=1\n"})

    lease: Lease
    offset: Annotated[Count, Field(le=MAX_LOG_BYTES)]
    """Characters sent before this chunk; a chunk that does not continue the log is ignored."""
    text: Annotated[Text, Field(max_length=MAX_LOG_BYTES)]


Argument = Annotated[Text, Field(max_length=32 << 10)]


def _short(argv: list[str]) -> list[str]:
    if sum(map(len, argv)) > MAX_ARGV_CHARACTERS:
        raise ValueError(f"has more than {MAX_ARGV_CHARACTERS} characters in all")
    return argv


class ResultRequest(Wire):
    """The body of POST /results."""

    model_config = example(
        {
            "job_id": "0198c0de-0000-7000-8000-000000000001",
            "node_id": "35d5e1ef-6fcb-4814-92a0-463de6b4d3ef",
            "attempt": 1,
            "lease": "k3wWm2hJrI8q1m9dXxQy0Q",
            "status": "failed",
            "failure_reason": "no_space",
            "error": "No space left on device",
        }
    )

    job_id: Name
    node_id: Name
    attempt: Ordinal
    lease: Lease
    status: Annotated[StrictStr, Field(pattern=r"^(completed|failed)$")]
    metrics: Annotated[Facts, Field(max_length=128)] = {}
    error: Annotated[Text, Field(max_length=8192)] | None = None
    failure_reason: FailureClass | None = None
    exit_code: Annotated[StrictInt, Field(ge=-MAX_COUNT, le=MAX_COUNT)] | None = None
    argv: Annotated[list[Argument], Field(max_length=1024), AfterValidator(_short)] = []
    size: Size | None = None
    sha256: Sha256 | None = None
    logs: Annotated[Text, Field(max_length=MAX_LOG_BYTES + 4096)] = ""
    completed_at: Moment | None = None

    @model_validator(mode="after")
    def _failure_says_why(self) -> Self:
        if self.status == "failed" and self.failure_reason is None:
            raise ValueError("a failed result needs failure_reason")
        return self
