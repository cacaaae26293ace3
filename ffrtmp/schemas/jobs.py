"""Jobs on the wire."""

from datetime import datetime
from fractions import Fraction
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

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
    frame_rate,
)
from ffrtmp.domain.parameters import (
    JobParameters,
    Rendition,
    check_input,
    check_output,
    check_rtmp_url,
    required_capability,
    resolve,
)
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.scenario import parse_scenario
from ffrtmp.schemas.base import Answer, CodecName, FrameRate, Seconds, Wire, example, text_of

MAX_RETRIES_LIMIT = 100
MAX_BATCH = 1000


class ResourceLimits(Wire):
    """Limits an attempt must keep; beyond one it ends as ``limit_exceeded``."""

    timeout_sec: Seconds | None = None
    """Wall seconds one attempt may take."""


class Parameters(Wire):
    """What to do with the media; anything left out follows the scenario, then the defaults."""

    input: Annotated[StrictStr, text_of(check_input)] | None = None
    """Local path on the node, or an http(s) URL; none makes a labelled test source."""
    output: Annotated[StrictStr, text_of(check_output)] | None = None
    """Path ending in .mp4, .mkv or .webm; none puts it in the node's output folder."""
    codec: CodecName | None = None
    bitrate: Annotated[StrictStr, text_of(bits_per_second)] | None = None
    preset: Preset | None = None
    crf: StrictInt | None = None
    resolution: Annotated[StrictStr, text_of(FrameSize.parse)] | None = None
    fps: FrameRate | None = None
    duration: Seconds | None = None
    audio: Audio = Audio.AUTO
    hardware: Hardware = Hardware.AUTO
    output_mode: OutputMode = OutputMode.FILE
    rtmp_url: Annotated[StrictStr, text_of(check_rtmp_url)] | None = None
    """Where ``output_mode: rtmp`` publishes; one node at a time does."""
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
            rtmp_url=self.rtmp_url,
            overwrite=self.overwrite,
            timeout_seconds=self.resource_limits.timeout_sec,
        )


class JobSubmission(Wire):
    """The body of POST /jobs."""

    model_config = example(
        {"scenario": "1080p30-h264", "parameters": {"input": "/media/clip.mp4"}},
        {
            "scenario": "4K60-h265",
            "queue": "live",
            "priority": "high",
            "parameters": {"duration": "10s", "bitrate": "15M", "codec": "h265", "fps": 60},
        },
    )

    scenario: Annotated[StrictStr, text_of(parse_scenario)]
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

    model_config = example({"jobs": [{"scenario": "720p"}, {"scenario": "480p", "queue": "batch"}]})

    jobs: Annotated[list[JobSubmission], Field(min_length=1, max_length=MAX_BATCH)]


class JobPatch(Wire):
    """The body of PATCH /jobs/{id}: a pending job's new place."""

    model_config = example({"queue": "live", "priority": "high"})

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
    rtmp_url: str | None = None
    """Where a stream is published."""
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
            rtmp_url=parameters.rtmp_url,
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


class WaitingAnswer(Answer):
    """How far a pending job is from its start."""

    rank: int
    """0 best to 8 worst, raised by waiting where the master does that."""
    position: int
    """Its place among the pending jobs of its rank, 1 for the next."""
    jobs_ahead: int
    """Pending jobs that go first and compete for the same slots."""
    slots: int
    """Slots that could run it."""
    slots_free: int
    estimated_start_seconds: float | None
    """From now, by the speed of jobs that ended lately; null where nothing is known."""


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
    """Why a pending or paused job is not running, in one line; null otherwise."""
    waiting: WaitingAnswer | None = None
    """The same in numbers; null where GET /jobs/{id} is not what was asked."""
    result: dict[str, Any] | None
    trace_id: str | None


class JobList(Answer):
    """One page of jobs; ``next`` is the cursor of the following page."""

    jobs: list[JobAnswer]
    count: int
    next: str | None = None


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
