"""The wire: every body of the HTTP API, strict where it comes in, complete where it goes out."""

import re
from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from ffrtmp.domain.attempt import Order, Outcome
from ffrtmp.domain.errors import InvalidRequest
from ffrtmp.domain.job import JobRequest, JobStatus
from ffrtmp.domain.media import (
    Audio,
    Codec,
    Container,
    Engine,
    FrameSize,
    Hardware,
    OutputMode,
    Preset,
    bits_per_second,
    codec_named,
    frame_rate,
)
from ffrtmp.domain.node import NodeStatus
from ffrtmp.domain.parameters import (
    JobParameters,
    Rendition,
    check_input,
    check_output,
    required_capability,
    resolve,
)
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.scenario import parse_scenario

MAX_RETRIES_LIMIT = 100
MAX_BATCH = 1000
MAX_LOG_BYTES = 1 << 20
MAX_HELD_ATTEMPTS = 1024
DAY_SECONDS = 86_400.0


class Wire(BaseModel):
    """A body from outside: an unknown field is an error that names it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)


class Answer(BaseModel):
    """A body this farm sends; readers ignore fields of newer versions."""

    model_config = ConfigDict(extra="ignore", frozen=True, use_attribute_docstrings=True)


def _codec(value: object) -> object:
    return codec_named(value) if isinstance(value, str) else value


def _number_text(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise ValueError("is a number")
    return str(value)


def _seconds(value: object) -> object:
    if isinstance(value, str):
        match = re.fullmatch(r"(\d{1,9}(?:\.\d{1,3})?)\s*(s|m|h)?", value)
        if match is None:
            raise ValueError("is seconds, or a duration such as 10s, 2m or 1h")
        return float(match[1]) * {"s": 1, "m": 60, "h": 3600}[match[2] or "s"]
    if isinstance(value, bool):
        raise ValueError("is seconds, or a duration such as 10s, 2m or 1h")
    return value


def _text_of(check: Any) -> AfterValidator:
    def validated(value: str) -> str:
        check(value)
        return value

    return AfterValidator(validated)


Seconds = Annotated[float, BeforeValidator(_seconds), Field(gt=0, le=10 * DAY_SECONDS)]
CodecName = Annotated[Codec, BeforeValidator(_codec)]
FrameRate = Annotated[str, BeforeValidator(_number_text), _text_of(frame_rate)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]


class ResourceLimits(Wire):
    """Limits an attempt must keep; beyond one it ends as ``limit_exceeded``."""

    timeout_sec: Seconds | None = None
    """Wall seconds one attempt may take."""


class Parameters(Wire):
    """What to do with the media; anything left out follows the scenario, then the defaults."""

    input: Annotated[StrictStr, _text_of(check_input)] | None = None
    """Local path on the node, or an http(s) URL; none makes a labelled test source."""
    output: Annotated[StrictStr, _text_of(check_output)] | None = None
    """Path ending in .mp4, .mkv or .webm; none puts it in the node's output folder."""
    codec: CodecName | None = None
    bitrate: Annotated[StrictStr, _text_of(bits_per_second)] | None = None
    preset: Preset | None = None
    crf: StrictInt | None = None
    resolution: Annotated[StrictStr, _text_of(FrameSize.parse)] | None = None
    fps: FrameRate | None = None
    duration: Seconds | None = None
    audio: Audio = Audio.AUTO
    hardware: Hardware = Hardware.AUTO
    output_mode: OutputMode = OutputMode.FILE
    overwrite: StrictBool = False
    resource_limits: ResourceLimits = ResourceLimits()

    def to_domain(self) -> JobParameters:
        """The same values, typed."""
        return JobParameters(
            input=self.input,
            output=self.output,
            codec=self.codec,
            bitrate=self.bitrate,
            preset=self.preset,
            crf=self.crf,
            resolution=FrameSize.parse(self.resolution) if self.resolution else None,
            fps=frame_rate(self.fps) if self.fps else None,
            duration_seconds=self.duration,
            audio=self.audio,
            hardware=self.hardware,
            output_mode=self.output_mode,
            overwrite=self.overwrite,
            timeout_seconds=self.resource_limits.timeout_sec,
        )


class JobSubmission(Wire):
    """The body of POST /jobs."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {"scenario": "1080p30-h264", "parameters": {"input": "/media/clip.mp4"}},
                {
                    "scenario": "4K60-h265",
                    "queue": "live",
                    "priority": "high",
                    "parameters": {"duration": "10s", "bitrate": "15M"},
                },
            ]
        }
    )

    scenario: Annotated[StrictStr, _text_of(parse_scenario)]
    queue: Queue = Queue.DEFAULT
    priority: Priority = Priority.MEDIUM
    engine: Engine = Engine.AUTO
    parameters: Parameters = Parameters()
    max_retries: Annotated[StrictInt, Field(ge=0, le=MAX_RETRIES_LIMIT)] | None = None
    """Failures after the first that are tried again; none takes the master's default."""

    def to_domain(self) -> JobRequest:
        """The validated request; InvalidRequest names a combination that cannot be."""
        if self.engine is Engine.GSTREAMER:
            raise InvalidRequest("this release has no gstreamer engine", field="engine")
        if self.parameters.output_mode is not OutputMode.FILE:
            raise InvalidRequest(
                f"this release writes files only, not {self.parameters.output_mode}",
                field="parameters.output_mode",
            )
        parameters = self.parameters.to_domain()
        rendition = resolve(parse_scenario(self.scenario), parameters)
        return JobRequest(
            scenario=self.scenario,
            queue=self.queue,
            priority=self.priority,
            engine=self.engine,
            hardware=parameters.hardware,
            requires=required_capability(rendition, parameters.hardware, self.engine),
            is_stream=parameters.output_mode is OutputMode.RTMP,
            parameters=self.parameters.model_dump(mode="json", exclude_defaults=True),
            spec=JobSpec.of(parameters, rendition).model_dump(mode="json"),
            max_retries=self.max_retries,
        )


class JobBatch(Wire):
    """The body of POST /jobs/batch: all are accepted, or none."""

    jobs: Annotated[list[JobSubmission], Field(min_length=1, max_length=MAX_BATCH)]


class JobPatch(Wire):
    """The body of PATCH /jobs/{id}: a pending job's new place."""

    queue: Queue | None = None
    priority: Priority | None = None

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if self.queue is None and self.priority is None:
            raise ValueError("give queue, priority or both")
        return self


class JobSpec(Answer):
    """What a node is told to do: everything decided at submit."""

    input: str | None
    output: str | None
    overwrite: bool
    is_stream: bool
    timeout_seconds: float | None
    hardware: Hardware
    width: int
    height: int
    fps: str | None
    codec: Codec
    preset: Preset
    crf: int | None
    bits_per_second: int | None
    audio: Audio
    container: Container
    live: bool
    duration_seconds: float | None

    @classmethod
    def of(cls, parameters: JobParameters, rendition: Rendition) -> Self:
        """The spec of one rendition."""
        return cls(
            input=parameters.input,
            output=parameters.output,
            overwrite=parameters.overwrite,
            is_stream=parameters.output_mode is OutputMode.RTMP,
            timeout_seconds=parameters.timeout_seconds,
            hardware=parameters.hardware,
            width=rendition.size.width,
            height=rendition.size.height,
            fps=str(rendition.fps) if rendition.fps else None,
            codec=rendition.codec,
            preset=rendition.preset,
            crf=rendition.crf,
            bits_per_second=rendition.bits_per_second,
            audio=rendition.audio,
            container=rendition.container,
            live=rendition.live,
            duration_seconds=rendition.duration_seconds,
        )

    def rendition(self) -> Rendition:
        """The same as a domain value."""
        return Rendition(
            size=FrameSize(width=self.width, height=self.height),
            fps=Fraction(self.fps) if self.fps else None,
            codec=self.codec,
            preset=self.preset,
            crf=self.crf,
            bits_per_second=self.bits_per_second,
            audio=self.audio,
            container=self.container,
            live=self.live,
            duration_seconds=self.duration_seconds,
        )


class JobAnswer(Answer):
    """A job as GET /jobs/{id} shows it."""

    id: str
    sequence_number: int
    scenario: str
    queue: Queue
    priority: Priority
    engine: Engine
    status: JobStatus
    progress: float
    """Fraction of the output that is encoded, 0 to 1."""
    fps: float | None = None
    speed: float | None = None
    parameters: dict[str, Any]
    node_id: str | None
    node_name: str | None
    attempt: int
    retry_count: int
    max_retries: int
    retry_at: datetime | None
    created_at: datetime
    started_at: datetime | None
    completed_at: datetime | None
    error: str | None
    failure_reason: FailureClass | None
    waiting_reason: str | None = None
    """Why a pending job is not running, in one line; null otherwise."""
    result: dict[str, Any] | None
    trace_id: str | None


class JobList(Answer):
    """One page of jobs; ``next`` is the cursor of the following page."""

    jobs: list[JobAnswer]
    count: int
    next: str | None = None


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


class AttemptList(Answer):
    """All runs of a job, first to last."""

    attempts: list[AttemptAnswer]


class EventAnswer(Answer):
    """One fact of a job's history."""

    id: int
    kind: str
    at: datetime
    node_id: str | None
    attempt: int | None
    data: dict[str, Any]


class EventList(Answer):
    """A job's history, oldest first."""

    events: list[EventAnswer]


class LogAnswer(Answer):
    """The kept log of one attempt: head and tail, the cut said in between."""

    job_id: str
    sequence_number: int
    attempt: int | None
    logs: str
    error: str | None


class HeldAttempt(Wire):
    """Finished work of an earlier agent process, waiting in its spool."""

    job_id: Name
    attempt: Annotated[StrictInt, Field(ge=1)]


class NodeRegistration(Wire):
    """The body of POST /nodes/register."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"address": "encoder-7", "slots": 4, "type": "server"}]}
    )

    address: Name
    name: Name | None = None
    type: Annotated[StrictStr, Field(max_length=32)] = "server"
    node_id: Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")] | (
        None
    ) = None
    """The identity the agent saved; none makes a new one."""
    node_token: Annotated[StrictStr, Field(min_length=32, max_length=256)] | None = None
    """Its secret; none makes a new one, returned once."""
    slots: Annotated[StrictInt, Field(ge=1, le=256)] = 1
    queues: Annotated[list[Queue], Field(min_length=1, max_length=3)] = list(Queue)
    capabilities: Annotated[list[Name], Field(max_length=256)] = []
    """What it can encode, ``<hardware>:<codec>`` each; empty means every CPU codec."""
    hardware: Annotated[dict[str, Any], Field(max_length=64)] = {}
    version: Annotated[StrictStr, Field(max_length=64)] = ""
    holding: Annotated[list[HeldAttempt], Field(max_length=MAX_HELD_ATTEMPTS)] = []

    @model_validator(mode="after")
    def _identity_is_whole(self) -> Self:
        if (self.node_id is None) != (self.node_token is None):
            raise ValueError("node_id and node_token go together")
        return self


class RunningAttempt(Answer):
    """An attempt as a node's page shows it."""

    job_id: str
    sequence_number: int
    attempt: int
    progress: float


class NodeAnswer(Answer):
    """A node as GET /nodes/{id} shows it."""

    id: str
    name: str
    address: str
    type: str
    status: NodeStatus
    slots: int
    slots_busy: int
    queues: list[Queue]
    capabilities: list[str]
    hardware: dict[str, Any]
    load: dict[str, Any]
    last_heartbeat: datetime
    registered_at: datetime
    running: list[RunningAttempt]
    version: str
    drain_reason: str | None = None


class RegistrationAnswer(NodeAnswer):
    """What a registered agent needs to work, besides its own node."""

    epoch: int
    node_token: str | None = None
    """Only where the request had none: save it, it is not shown again."""
    broker_url: str | None
    node_timeout_seconds: float
    lease_release: list[HeldAttempt] = []
    """Attempts of earlier epochs that are no longer this node's: delete their files."""


class NodeList(Answer):
    """Every node."""

    nodes: list[NodeAnswer]
    count: int


class DrainRequest(Wire):
    """The body of POST /nodes/{id}/drain."""

    reason: Annotated[StrictStr, Field(max_length=255)] | None = None


class AttemptBeat(Wire):
    """One attempt in a heartbeat."""

    job_id: Name
    attempt: Annotated[StrictInt, Field(ge=1)]
    progress: Annotated[float, Field(ge=0, le=1)] = 0.0
    mark: Annotated[StrictStr, Field(max_length=128)] = ""
    """Any text that differs whenever anything moved."""
    phase: Annotated[StrictStr, Field(max_length=32)] = ""
    fps: Annotated[float, Field(ge=0, le=1e6)] | None = None
    speed: Annotated[float, Field(ge=0, le=1e6)] | None = None


class Heartbeat(Wire):
    """The body of POST /nodes/{id}/heartbeat."""

    epoch: Annotated[StrictInt, Field(ge=1)]
    seq: Annotated[StrictInt, Field(ge=1)]
    """Heartbeats this process has built, this one included."""
    attempts: Annotated[list[AttemptBeat], Field(max_length=MAX_HELD_ATTEMPTS)] = []
    claims_in_flight: Annotated[list[Name], Field(max_length=MAX_HELD_ATTEMPTS)] = []
    """Claims sent and not answered when this heartbeat was built."""
    load: Annotated[dict[str, Any], Field(max_length=32)] = {}


class AttemptOrder(Answer):
    """What becomes of one listed attempt."""

    job_id: str
    attempt: int
    order: Order


class HeartbeatAnswer(Answer):
    """The master's orders."""

    attempts: list[AttemptOrder]
    drain: bool
    node_timeout_seconds: float


class ClaimRequest(Wire):
    """The body of POST /claims; ``claim_id`` is one per task body, the same on every retry."""

    node_id: Name
    epoch: Annotated[StrictInt, Field(ge=1)]
    claim_id: Annotated[StrictStr, Field(min_length=16, max_length=64)]
    heartbeat_seq: Annotated[StrictInt, Field(ge=0)] = 0
    """Heartbeats built when this claim was first sent."""
    job_id: Name | None = None
    """The job of the hint, for information only."""


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
    trace_parent: str | None


Sha256 = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
Lease = Annotated[StrictStr, Field(min_length=16, max_length=128)]
Size = Annotated[StrictInt, Field(ge=0, le=1 << 60)]


class CommitRequest(Wire):
    """The body of POST /attempts/{job}/{n}/commit; a stream has neither size nor hash."""

    lease: Lease
    size: Size | None = None
    sha256: Sha256 | None = None


class CommitAnswer(Answer):
    """The fence is passed: publish now."""

    status: JobStatus


class ReleaseRequest(Wire):
    """The body of POST /attempts/{job}/{n}/release: given back unharmed."""

    lease: Lease
    reason: Annotated[StrictStr, Field(max_length=255)] = ""


class LogChunk(Wire):
    """The body of POST /attempts/{job}/{n}/logs: text that continues the log at ``offset``."""

    lease: Lease
    offset: Size
    """Characters sent before this chunk; a chunk that does not continue the log is ignored."""
    text: Annotated[StrictStr, Field(max_length=MAX_LOG_BYTES)]


class ResultRequest(Wire):
    """The body of POST /results."""

    job_id: Name
    node_id: Name
    attempt: Annotated[StrictInt, Field(ge=1)]
    lease: Lease
    status: Annotated[StrictStr, Field(pattern=r"^(completed|failed)$")]
    metrics: Annotated[dict[str, Any], Field(max_length=128)] = {}
    error: Annotated[StrictStr, Field(max_length=8192)] | None = None
    failure_reason: FailureClass | None = None
    exit_code: StrictInt | None = None
    argv: Annotated[list[StrictStr], Field(max_length=1024)] = []
    size: Size | None = None
    sha256: Sha256 | None = None
    logs: Annotated[StrictStr, Field(max_length=MAX_LOG_BYTES + 4096)] = ""
    completed_at: datetime | None = None

    @model_validator(mode="after")
    def _failure_says_why(self) -> Self:
        if self.status == "failed" and self.failure_reason is None:
            raise ValueError("a failed result needs failure_reason")
        return self


class RankCount(Answer):
    """One rank of GET /queues."""

    queue: Queue
    priority: Priority
    rank: int
    waiting: int
    running: int
    oldest_wait_seconds: float | None


class QueueList(Answer):
    """Every rank, best first, and the slots that serve them."""

    queues: list[RankCount]
    slots: int
    slots_busy: int


class ErrorBody(Answer):
    """What went wrong, and where."""

    code: str
    message: str
    field: str | None = None


class ErrorAnswer(Answer):
    """Every refusal has this shape."""

    error: ErrorBody
