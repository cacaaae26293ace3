"""Jobs on the wire."""

from datetime import datetime
from typing import Annotated, Any, Self

from pydantic import (
    Field,
    StrictInt,
    StrictStr,
    TypeAdapter,
    model_validator,
)

from ffrtmp.domain.job import JobRequest, JobStatus
from ffrtmp.domain.media import Engine
from ffrtmp.domain.parameters import required_capability, resolve
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.scenario import MAX_NAME_LENGTH, parse_scenario
from ffrtmp.domain.spec import JobSpec
from ffrtmp.schemas.base import Answer, Wire, example, text_of
from ffrtmp.schemas.parameters import Parameters

SPEC = TypeAdapter(JobSpec)
"""A spec as JSON and back; fields of newer versions are ignored."""
MAX_RETRIES_LIMIT = 100
MAX_BATCH = 1000


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

    scenario: Annotated[StrictStr, Field(max_length=MAX_NAME_LENGTH), text_of(parse_scenario)]
    queue: Queue = Queue.DEFAULT
    priority: Priority = Priority.MEDIUM
    engine: Engine = Engine.AUTO
    parameters: Parameters = Parameters()
    max_retries: Annotated[StrictInt, Field(ge=0, le=MAX_RETRIES_LIMIT)] | None = None
    """Failures after the first that are tried again; none takes the master's default."""

    def to_domain(self) -> JobRequest:
        """The validated request; InvalidRequest names a combination that cannot be."""
        parameters = self.parameters.to_domain()
        spec = resolve(parse_scenario(self.scenario), parameters, self.engine)
        return JobRequest(
            scenario=self.scenario,
            queue=self.queue,
            priority=self.priority,
            engine=self.engine,
            hardware=spec.hardware,
            requires=required_capability(spec),
            is_stream=spec.is_stream,
            parameters=self.parameters.model_dump(mode="json", exclude_defaults=True),
            spec=SPEC.dump_python(spec, mode="json"),
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
    owner: str | None = None
    """Name of the key that submitted it; null where an older master answers."""
    queue: Queue
    priority: Priority
    engine: Engine
    status: JobStatus
    progress: float
    """Fraction of the output that is encoded, 0 to 1."""
    fps: float | None = None
    speed: float | None = None
    bits_per_second: int | None = None
    dropped_frames: int | None = None
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
