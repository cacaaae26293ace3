"""What nodes tell of attempts."""

from typing import Annotated

from fastapi import APIRouter, Path, Response, status

from ffrtmp.api import wire
from ffrtmp.api.auth import NodeRoute, SpeakingNode, speaks_for
from ffrtmp.api.bodies import KIB, takes
from ffrtmp.api.state import FarmDep, MetricsDep
from ffrtmp.domain.attempt import Outcome, Report
from ffrtmp.domain.errors import FarmError
from ffrtmp.schemas import (
    ClaimAnswer,
    ClaimRequest,
    CommitAnswer,
    CommitRequest,
    JobAnswer,
    LogChunk,
    ReleaseRequest,
    ResultRequest,
)
from ffrtmp.services.attempts import Claim

router = APIRouter(tags=["attempts"], route_class=NodeRoute)

JobId = Annotated[str, Path(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
Number = Annotated[int, Path(ge=1, lt=1 << 31)]


@router.post("/claims", response_model=ClaimAnswer, responses={204: {"description": "No work"}})
def claim(
    body: ClaimRequest, farm: FarmDep, node: SpeakingNode, metrics: MetricsDep
) -> ClaimAnswer | Response:
    """The best job this node can run, under a lease; 204 where there is none."""
    speaks_for(node, body.node_id)
    asked = Claim(
        node_id=body.node_id,
        epoch=body.epoch,
        claim_id=body.claim_id,
        heartbeat_seq=body.heartbeat_seq,
        device=body.device,
        is_reserved=body.is_reserved,
    )
    try:
        grant = farm.attempts.claim(asked)
    except FarmError:
        metrics.schedule_attempts.labels(result="error").inc()
        raise
    result = "no_jobs" if grant is None else "success"
    metrics.schedule_attempts.labels(result=result).inc()
    if grant is None:
        return Response(status_code=status.HTTP_204_NO_CONTENT)
    return wire.claim_answer(grant)


@router.post("/attempts/{job}/{number}/commit")
def commit(
    job: JobId, number: Number, body: CommitRequest, farm: FarmDep, node: SpeakingNode
) -> CommitAnswer:
    """The fence before publishing; 409: not yours any more, publish nothing."""
    committed = farm.attempts.commit(
        job, number, node_id=node.id, lease=body.lease, size=body.size, sha256=body.sha256
    )
    return CommitAnswer(status=committed.status)


@router.post("/attempts/{job}/{number}/release", status_code=status.HTTP_204_NO_CONTENT)
def release(
    job: JobId, number: Number, body: ReleaseRequest, farm: FarmDep, node: SpeakingNode
) -> None:
    """Give an attempt back unharmed: no retry is spent."""
    farm.attempts.release(job, number, node_id=node.id, lease=body.lease, reason=body.reason)


@router.post("/attempts/{job}/{number}/logs", status_code=status.HTTP_204_NO_CONTENT)
@takes(body_bytes=8192 * KIB)
def append_log(
    job: JobId, number: Number, body: LogChunk, farm: FarmDep, node: SpeakingNode
) -> None:
    """Continue the log of a running attempt."""
    farm.attempts.append_log(
        job, number, node_id=node.id, lease=body.lease, offset=body.offset, text=body.text
    )


@router.post("/results")
@takes(body_bytes=8192 * KIB)
def report(body: ResultRequest, farm: FarmDep, node: SpeakingNode) -> JobAnswer:
    """The end of an attempt; the same report twice is answered the same."""
    speaks_for(node, body.node_id)
    said = Report(
        job_id=body.job_id,
        node_id=body.node_id,
        number=body.attempt,
        lease=body.lease,
        outcome=Outcome(body.status),
        failure_class=body.failure_reason,
        error=body.error,
        exit_code=body.exit_code,
        argv=tuple(body.argv),
        sha256=body.sha256,
        size_bytes=body.size,
        logs=body.logs,
        metrics=body.metrics,
    )
    return wire.job_answer(farm.attempts.report(said))
