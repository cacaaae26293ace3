"""Domain values as answers."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from ffrtmp.domain.attempt import Attempt
from ffrtmp.domain.device import Device
from ffrtmp.domain.event import Event
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.key import Key, KeyState
from ffrtmp.domain.node import Node
from ffrtmp.schemas import (
    SPEC,
    AttemptAnswer,
    ClaimAnswer,
    DeviceAnswer,
    EventAnswer,
    FarmEvent,
    JobAnswer,
    KeyAnswer,
    NewKeyAnswer,
    NodeAnswer,
    PausedQueue,
    QueueList,
    RankCount,
    RunningAttempt,
    WaitingAnswer,
)
from ffrtmp.services.attempts import Grant
from ffrtmp.services.explain import Waiting
from ffrtmp.services.keys import NewKey
from ffrtmp.services.nodes import NodeView
from ffrtmp.services.queues import QueueBoard


def job_answer(job: Job, *, waiting: Waiting | None = None) -> JobAnswer:
    """A job as people see it."""
    return JobAnswer(
        id=job.id,
        sequence_number=job.sequence_number,
        scenario=job.scenario,
        owner=job.owner,
        queue=job.queue,
        priority=job.priority,
        engine=job.engine,
        status=job.status,
        progress=job.progress,
        fps=job.fps,
        speed=job.speed,
        bits_per_second=job.bits_per_second,
        dropped_frames=job.dropped_frames,
        parameters=dict(job.parameters),
        node_id=job.node_id,
        node_name=job.node_name,
        attempt=job.attempt,
        retry_count=job.retry_count,
        max_retries=job.max_retries,
        retry_at=job.retry_at,
        created_at=job.created_at,
        started_at=job.started_at,
        completed_at=job.completed_at,
        error=job.error,
        failure_reason=job.failure_reason,
        waiting_reason=None if waiting is None else waiting.reason,
        waiting=_waiting(job, waiting),
        result=dict(job.result) if job.result is not None else None,
        trace_id=trace_id(job.trace_parent),
    )


def _waiting(job: Job, waiting: Waiting | None) -> WaitingAnswer | None:
    if waiting is None or job.status is not JobStatus.PENDING:
        return None
    return WaitingAnswer(
        rank=waiting.rank,
        position=waiting.position,
        jobs_ahead=waiting.jobs_ahead,
        slots=waiting.slots,
        slots_free=waiting.slots_free,
        estimated_start_seconds=waiting.estimated_start_seconds,
    )


def trace_id(trace_parent: str | None) -> str | None:
    """The trace id inside a W3C traceparent."""
    return trace_parent.split("-")[1] if trace_parent else None


def attempt_answer(attempt: Attempt) -> AttemptAnswer:
    """One run of a job."""
    return AttemptAnswer(
        number=attempt.number,
        node_id=attempt.node_id,
        node_name=attempt.node_name,
        state=attempt.state,
        outcome=attempt.outcome,
        failure_class=attempt.failure_class,
        error=attempt.error,
        exit_code=attempt.exit_code,
        argv=list(attempt.argv),
        started_at=attempt.started_at,
        ended_at=attempt.ended_at,
        progress=attempt.progress,
        phase=attempt.phase,
        bits_per_second=attempt.bits_per_second,
        dropped_frames=attempt.dropped_frames,
        device=attempt.device,
        hardware=attempt.hardware,
        pause=attempt.pause,
    )


def event_answer(event: Event) -> EventAnswer:
    """One fact."""
    return EventAnswer(
        id=event.id or 0,
        kind=event.kind,
        at=event.at,
        node_id=event.node_id,
        attempt=event.attempt,
        data=dict(event.data),
    )


def farm_event(event: Event) -> FarmEvent:
    """One fact, with what it is about."""
    return FarmEvent(
        id=event.id or 0,
        kind=event.kind,
        at=event.at,
        job_id=event.job_id,
        node_id=event.node_id,
        attempt=event.attempt,
        data=dict(event.data),
    )


def key_answer(key: Key, state: KeyState) -> KeyAnswer:
    """What may be seen of a key."""
    return KeyAnswer(
        name=key.name,
        role=key.role,
        prefix=key.beginning,
        state=state,
        created_at=key.created_at,
        expires_at=key.expires_at,
        last_used_at=key.last_used_at,
    )


def new_key_answer(made: NewKey, *, now: datetime) -> NewKeyAnswer:
    """The same, with the key itself."""
    seen = key_answer(made.key, made.key.state(now))
    return NewKeyAnswer(**seen.model_dump(), key=made.text)


def claim_answer(grant: Grant) -> ClaimAnswer:
    """A lease and the work under it."""
    return ClaimAnswer(
        job_id=grant.job.id,
        sequence_number=grant.job.sequence_number,
        scenario=grant.job.scenario,
        queue=grant.job.queue,
        attempt=grant.attempt.number,
        lease=grant.attempt.lease,
        spec=SPEC.validate_python(grant.job.spec),
        committed_sha256=list(grant.committed_sha256),
        device=grant.attempt.device,
        hardware=grant.attempt.hardware,
        trace_parent=grant.job.trace_parent,
    )


def node_answer(view: NodeView, *, numbers: dict[str, int]) -> NodeAnswer:
    """A node; ``numbers`` gives the sequence number of each job it runs."""
    node = view.node
    busy = Counter(attempt.device for attempt in view.held if attempt.holds_slot)
    return NodeAnswer(
        id=node.id,
        name=node.name,
        address=node.address,
        type=node.type,
        status=node.status(slots_busy=busy.total()),
        slots=node.slots,
        slots_busy=busy.total(),
        slots_lost=node.slots_lost,
        queues=list(node.queues),
        capabilities=list(node.capabilities),
        hardware=dict(node.hardware),
        load=dict(node.load),
        last_heartbeat=node.last_heartbeat_at,
        registered_at=node.registered_at,
        running=[_running(attempt, numbers) for attempt in view.held],
        devices=[_device(node, device, busy[device.id]) for device in node.devices],
        reserve_live=node.reserve_live,
        version=node.version,
        epoch=node.epoch,
        clock_skew_seconds=node.clock_skew_seconds,
        drain_reason=node.drain_reason,
        revoked_at=node.revoked_at,
    )


def job_ids(views: Sequence[NodeView]) -> list[str]:
    """The jobs that some nodes run."""
    return [attempt.job_id for view in views for attempt in view.held]


def queue_list(board: QueueBoard) -> QueueList:
    """The queues, best rank first."""
    return QueueList(
        queues=[
            RankCount.model_validate(
                {
                    "queue": line.queue,
                    "priority": line.priority,
                    "rank": line.rank,
                    "hardware": line.hardware.value,
                    "waiting": line.waiting,
                    "running": line.running,
                    "oldest_wait_seconds": line.oldest_wait_seconds,
                    "slots": line.slots,
                }
            )
            for line in board.lines
        ],
        slots=board.slots,
        slots_busy=board.slots_busy,
        paused=[
            PausedQueue(queue=queue, reason=pause.reason, since=pause.since)
            for queue, pause in board.paused.items()
        ],
    )


def _device(node: Node, device: Device, slots_busy: int) -> DeviceAnswer:
    aside = node.set_aside.get(device.id)
    return DeviceAnswer(
        id=device.id,
        name=device.name,
        slots=device.slots,
        slots_busy=slots_busy,
        capabilities=list(device.capabilities),
        set_aside=None if aside is None else aside.reason,
    )


def _running(attempt: Attempt, numbers: dict[str, int]) -> RunningAttempt:
    return RunningAttempt(
        job_id=attempt.job_id,
        sequence_number=numbers.get(attempt.job_id, 0),
        attempt=attempt.number,
        progress=attempt.progress,
    )
