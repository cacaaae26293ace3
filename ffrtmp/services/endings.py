"""How an attempt ends and what becomes of its job: the one place for every cause."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ffrtmp.domain.attempt import Attempt, Outcome
from ffrtmp.domain.breaker import HOST_SIDE
from ffrtmp.domain.device import CPU_DEVICE, Device
from ffrtmp.domain.event import Event, EventKind, of_attempt
from ffrtmp.domain.job import HELD, Job, JobStatus
from ffrtmp.domain.node import Node
from ffrtmp.domain.occupancy import Occupancy
from ffrtmp.domain.placement import able_devices, on_cpu, place_of, takes_any
from ffrtmp.domain.ranking import Queue
from ffrtmp.domain.retry import FailureClass, GiveUp, Retry
from ffrtmp.services.context import Context
from ffrtmp.store.engine import Transaction
from ffrtmp.store.jobs import storable_places

NODES_CONSIDERED = 50
PLACES_REMEMBERED = 20
GPU_SIDE = frozenset({FailureClass.HARDWARE, FailureClass.INCAPABLE})
GPUS_TRIED = 2
"""GPUs that may fail a job that a CPU can do as well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ending:
    """Why an attempt ends. ``confirmed`` says the node itself told, so nothing of it runs on."""

    outcome: Outcome
    failure: FailureClass | None = None
    error: str | None = None
    confirmed: bool = False
    facts: Mapping[str, Any] = field(default_factory=dict)
    """Further columns of the attempt: exit_code, argv."""


def end_attempt(
    context: Context, tx: Transaction, job: Job, attempt: Attempt, ending: Ending
) -> bool:
    """Close the lease and move the job on; False if the attempt had ended before.

    The job must be locked. ``failures`` grows only for ``failed`` and ``node_lost``.
    """
    now = context.now()
    ended = tx.attempts.end(
        attempt,
        ending.outcome,
        now=now,
        farm_seconds=context.farm_seconds(tx),
        failure_class=ending.failure,
        error=ending.error,
        **ending.facts,
    )
    if not ended or job.status not in HELD or job.attempt != attempt.number:
        return ended
    if ending.outcome in (Outcome.FAILED, Outcome.NODE_LOST):
        _fail(context, tx, job, attempt, ending)
    elif ending.outcome in (Outcome.RELEASED, Outcome.PREEMPTED):
        _give_back(tx, job, attempt, ending, context)
    return True


def _fail(context: Context, tx: Transaction, job: Job, attempt: Attempt, ending: Ending) -> None:
    failure = ending.failure or FailureClass.NODE_LOST
    failures = job.failures + 1
    decision = context.policy.retry.decide(
        failure, failures=failures, max_retries=job.max_retries, fraction=context.fraction()
    )
    match decision:
        case GiveUp(reason=reason):
            _give_up(context, tx, job, attempt, ending, reason)
        case Retry(delay_seconds=delay):
            _schedule(context, tx, job, attempt, ending, delay)


def _give_up(
    context: Context, tx: Transaction, job: Job, attempt: Attempt, ending: Ending, reason: str
) -> None:
    now = context.now()
    tx.jobs.move(
        job,
        JobStatus.FAILED,
        failures=job.failures + 1,
        completed_at=now,
        error=ending.error,
        failure_reason=ending.failure,
    )
    tx.events.append(_event(EventKind.JOB_FAILED, attempt, ending, context, {"because": reason}))


def _schedule(
    context: Context, tx: Transaction, job: Job, attempt: Attempt, ending: Ending, delay: float
) -> None:
    now = context.now()
    retry_at = now + timedelta(seconds=delay)
    elsewhere = _elsewhere(context, tx, job, attempt, ending)
    tx.jobs.move(
        job,
        JobStatus.PENDING,
        failures=job.failures + 1,
        retry_at=retry_at,
        requires=elsewhere.requires,
        avoid=storable_places(elsewhere.avoid),
        avoid_until=retry_at + timedelta(seconds=elsewhere.seconds),
        **_back_in_line(job, attempt, ending),
        error=ending.error,
        failure_reason=ending.failure,
    )
    facts: dict[str, Any] = {"failures": job.failures + 1, "delay_seconds": delay}
    if elsewhere.requires != job.requires:
        facts["requires"] = elsewhere.requires
    tx.events.append(_event(EventKind.JOB_RETRY_SCHEDULED, attempt, ending, context, facts))


@dataclass(frozen=True, slots=True, kw_only=True)
class Elsewhere:
    """Where a retry goes: its need, the places it has failed at, and for how long they are left
    to last."""

    requires: str
    avoid: Sequence[str]
    seconds: float


def _elsewhere(
    context: Context, tx: Transaction, job: Job, attempt: Attempt, ending: Ending
) -> Elsewhere:
    """A retry prefers a place it has not failed at: a few seconds where such a one has room.

    Longer where the failure may be the node's own: such a node is idle soonest and would spend
    the whole budget of its jobs while the others are busy. After a GPU's own failure another GPU
    comes first; where there is none, or a second one failed too, a job that may runs on a CPU.
    """
    policy = context.policy
    is_gpu_failure = ending.failure in GPU_SIDE and attempt.device != CPU_DEVICE
    failed_at = place_of(attempt.node_id, attempt.device) if is_gpu_failure else attempt.node_id
    avoid = list(dict.fromkeys((*job.avoid, failed_at)))[-PLACES_REMEMBERED:]
    others: Sequence[tuple[Node, Device]] = [
        (node, device)
        for node in tx.nodes.accepting(limit=NODES_CONSIDERED)
        for device in able_devices(node, job)
        if node.id not in avoid and place_of(node.id, device.id) not in avoid
    ]
    requires = job.requires
    if is_gpu_failure and takes_any(requires):
        others, requires = _after_gpu_failure(requires, avoid, others)
    if others and policy.set_aside_after and ending.failure in HOST_SIDE:
        return Elsewhere(requires=requires, avoid=avoid, seconds=policy.retry.cap_seconds)
    occupancy = Occupancy.of(tx.attempts.taken({node.id for node, _ in others}))
    has_room = any(occupancy.free(*one, is_live=job.queue is Queue.LIVE) for one in others)
    return Elsewhere(
        requires=requires, avoid=avoid, seconds=policy.avoid_seconds if has_room else 0.0
    )


def _after_gpu_failure(
    requires: str, avoid: Sequence[str], others: Sequence[tuple[Node, Device]]
) -> tuple[Sequence[tuple[Node, Device]], str]:
    failed_gpus = sum("/" in place for place in avoid)
    gpus = [(node, device) for node, device in others if device.is_gpu]
    need = on_cpu(requires)
    cpus = [(node, device) for node, device in others if need in device.capabilities]
    if cpus and (not gpus or failed_gpus >= GPUS_TRIED):
        return cpus, need
    return gpus, requires


def _give_back(
    tx: Transaction, job: Job, attempt: Attempt, ending: Ending, context: Context
) -> None:
    tx.jobs.move(job, JobStatus.PENDING, **_back_in_line(job, attempt, ending))
    is_preempted = ending.outcome is Outcome.PREEMPTED
    kind = EventKind.JOB_PREEMPTED if is_preempted else EventKind.JOB_RELEASED
    tx.events.append(_event(kind, attempt, ending, context, {}))


def _back_in_line(job: Job, attempt: Attempt, ending: Ending) -> dict[str, object]:
    """A stream taken from a node waits until that node cannot be publishing any more."""
    holds = job.is_stream and not ending.confirmed
    return {
        "node_id": None,
        "node_name": None,
        "started_at": None,
        "hold_until_farm": attempt.lease_expires_farm if holds else None,
    }


def _event(
    kind: EventKind, attempt: Attempt, ending: Ending, context: Context, facts: Mapping[str, Any]
) -> Event:
    said = {"outcome": ending.outcome, "failure": ending.failure, "error": ending.error}
    data = {name: value for name, value in said.items() if value is not None} | dict(facts)
    return of_attempt(kind, attempt, at=context.now(), data=data)
