"""Jobs over HTTP."""

import functools
import hashlib
import json
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, status
from pydantic import BaseModel

from ffrtmp.api import wire
from ffrtmp.api.auth import GuardedRoute, JobReader, JobWriter, SeenJob
from ffrtmp.api.bodies import KIB, takes
from ffrtmp.api.follow import EVENT_SCHEMA, Following
from ffrtmp.api.state import FarmDep, load_of, tails_of
from ffrtmp.domain.errors import InvalidRequest
from ffrtmp.domain.job import Job
from ffrtmp.schemas import (
    AttemptList,
    EventList,
    JobAnswer,
    JobBatch,
    JobList,
    JobPatch,
    JobQuery,
    JobSubmission,
    LogAnswer,
    LogQuery,
)
from ffrtmp.services.farm import Farm
from ffrtmp.services.jobs import Idempotency
from ffrtmp.store.jobs import JobFilter
from ffrtmp.telemetry import current_traceparent

router = APIRouter(tags=["jobs"], route_class=GuardedRoute)

IdempotencyKey = Annotated[
    str | None,
    Header(alias="Idempotency-Key", min_length=1, max_length=255, pattern=r"^[\x21-\x7e]+$"),
]


@router.post("/jobs", status_code=status.HTTP_201_CREATED)
@takes(body_bytes=256 * KIB)
def submit(
    body: JobSubmission, farm: FarmDep, caller: JobWriter, key: IdempotencyKey = None
) -> JobAnswer:
    """Accept a job: stored with its first event before this answers."""
    (job,) = farm.jobs.submit(
        [body.to_domain()],
        owner=caller.name,
        trace_parent=current_traceparent(),
        idempotency=_idempotency(key, body),
    )
    return wire.job_answer(job)


@router.post("/jobs/batch", status_code=status.HTTP_201_CREATED)
@takes(body_bytes=4096 * KIB)
def submit_batch(
    body: JobBatch, farm: FarmDep, caller: JobWriter, key: IdempotencyKey = None
) -> JobList:
    """Accept all jobs of a list, or none."""
    requests = []
    for index, submission in enumerate(body.jobs):
        try:
            requests.append(submission.to_domain())
        except InvalidRequest as error:
            error.field = f"jobs.{index}.{error.field}"
            raise
    jobs = farm.jobs.submit(
        requests,
        owner=caller.name,
        trace_parent=current_traceparent(),
        idempotency=_idempotency(key, body),
    )
    return JobList(jobs=[wire.job_answer(job) for job in jobs], count=len(jobs))


@router.get("/jobs")
def list_jobs(farm: FarmDep, caller: JobReader, query: Annotated[JobQuery, Query()]) -> JobList:
    """One page of jobs, newest first; ``next`` is the cursor of the following one."""
    if caller.scope is not None and query.owner not in (None, caller.scope):
        return JobList(jobs=[], count=0)
    chosen = JobFilter(
        status=query.status,
        queue=query.queue,
        priority=query.priority,
        node_id=farm.nodes.get(query.node).node.id if query.node else None,
        scenario=query.scenario,
        since=query.since,
        owner=caller.scope or query.owner,
        before=query.cursor,
    )
    jobs = farm.jobs.list(chosen, limit=query.limit + 1)
    page = jobs[: query.limit]
    following = str(page[-1].sequence_number) if len(jobs) > query.limit else None
    answers = [wire.job_answer(job) for job in page]
    return JobList(jobs=answers, count=len(answers), next=following)


@router.get("/jobs/{job}")
def get_job(job: SeenJob, farm: FarmDep, _caller: JobReader) -> JobAnswer:
    """One job, with the reason why it waits."""
    return _explained(farm, farm.jobs.get(job))


@router.patch("/jobs/{job}")
def patch_job(job: SeenJob, body: JobPatch, farm: FarmDep, caller: JobWriter) -> JobAnswer:
    """Another queue or priority for a pending job."""
    moved = farm.jobs.reprioritize(job, queue=body.queue, priority=body.priority, by=caller.name)
    return wire.job_answer(moved)


@router.post("/jobs/{job}/cancel")
def cancel(job: SeenJob, farm: FarmDep, caller: JobWriter) -> JobAnswer:
    """End a pending or running job; 409 once it commits or has ended."""
    return wire.job_answer(farm.jobs.cancel(job, by=caller.name))


@router.post("/jobs/{job}/pause")
def pause(job: SeenJob, farm: FarmDep, caller: JobWriter) -> JobAnswer:
    """Stop a running file encode where it is; 409 for a stream and for what does not run."""
    return _explained(farm, farm.jobs.pause(job, by=caller.name))


@router.post("/jobs/{job}/resume")
def resume(job: SeenJob, farm: FarmDep, caller: JobWriter) -> JobAnswer:
    """Let a paused job go on, at once or as soon as its node has a slot."""
    return _explained(farm, farm.jobs.resume(job, by=caller.name))


@router.post("/jobs/{job}/retry")
def retry(job: SeenJob, farm: FarmDep, caller: JobWriter) -> JobAnswer:
    """A failed or canceled job again, with a fresh budget."""
    return wire.job_answer(farm.jobs.retry(job, by=caller.name))


@router.get("/jobs/{job}/attempts")
def attempts(job: SeenJob, farm: FarmDep, _caller: JobReader) -> AttemptList:
    """Every run of a job, with its exact command line."""
    return AttemptList(attempts=[wire.attempt_answer(one) for one in farm.jobs.attempts(job)])


@router.get("/jobs/{job}/events")
def events(job: SeenJob, farm: FarmDep, _caller: JobReader) -> EventList:
    """A job's history."""
    return EventList(events=[wire.event_answer(event) for event in farm.jobs.events(job)])


@router.get(
    "/jobs/{job}/logs",
    response_model=LogAnswer,
    responses={200: {"content": {"text/event-stream": {"schema": EVENT_SCHEMA}}}},
)
def logs(
    request: Request,
    job: SeenJob,
    farm: FarmDep,
    caller: JobReader,
    query: Annotated[LogQuery, Query()],
) -> LogAnswer | Following:
    """The log of one attempt; ``follow=1`` streams server-sent events until the job ends."""
    if query.follow:
        seat = functools.partial(load_of(request).following, caller.name)
        return Following(tails_of(request).log_events(farm.jobs.get(job).id), seat=seat)
    found = farm.jobs.log(job, attempt=query.attempt)
    return LogAnswer(
        job_id=found.job.id,
        sequence_number=found.job.sequence_number,
        attempt=found.attempt,
        logs=found.text,
        error=found.error,
    )


def _explained(farm: Farm, job: Job) -> JobAnswer:
    return wire.job_answer(job, waiting=farm.explain.waiting(job))


def _idempotency(key: str | None, body: BaseModel) -> Idempotency | None:
    if key is None:
        return None
    said = json.dumps(body.model_dump(mode="json"), sort_keys=True)
    digest = hashlib.sha256(said.encode()).hexdigest()
    return Idempotency(key=key, body_sha256=digest)
