"""How an attempt ends and what becomes of its job: the one place for every cause."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from ffrtmp.domain.attempt import Attempt, Outcome
from ffrtmp.domain.breaker import HOST_SIDE
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.job import HELD, Job, JobStatus
from ffrtmp.domain.placement import can_run
from ffrtmp.domain.retry import FailureClass, GiveUp, Retry
from ffrtmp.services.context import Context
from ffrtmp.store.engine import Transaction

NODES_CONSIDERED = 50


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
    elif ending.outcome is Outcome.RELEASED:
        _release(tx, job, attempt, ending, context)
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
    tx.events.append(
        _event(EventKind.JOB_FAILED, job, attempt, ending, context, {"because": reason})
    )


def _schedule(
    context: Context, tx: Transaction, job: Job, attempt: Attempt, ending: Ending, delay: float
) -> None:
    now = context.now()
    retry_at = now + timedelta(seconds=delay)
    avoid_seconds = _avoid_seconds(context, tx, job, attempt, ending)
    tx.jobs.move(
        job,
        JobStatus.PENDING,
        failures=job.failures + 1,
        retry_at=retry_at,
        avoid_node_id=attempt.node_id if avoid_seconds else None,
        avoid_until=retry_at + timedelta(seconds=avoid_seconds),
        **_back_in_line(job, attempt, ending),
        error=ending.error,
        failure_reason=ending.failure,
    )
    facts = {"failures": job.failures + 1, "delay_seconds": delay}
    tx.events.append(_event(EventKind.JOB_RETRY_SCHEDULED, job, attempt, ending, context, facts))


def _avoid_seconds(
    context: Context, tx: Transaction, job: Job, attempt: Attempt, ending: Ending
) -> float:
    """How long a due retry is left to other nodes; 0 where no other could run it.

    A few seconds where another has room. Longer where the failure may be the node's own: such a
    node is idle soonest and would spend the whole budget of its jobs while the others are busy.
    """
    now, policy = context.now(), context.policy
    others = [
        node
        for node in tx.nodes.accepting(limit=NODES_CONSIDERED)
        if node.id != attempt.node_id and can_run(node, job, now=now)
    ]
    if others and policy.set_aside_after and ending.failure in HOST_SIDE:
        return policy.retry.cap_seconds
    has_room = any(tx.attempts.count_live(node.id) < node.usable_slots for node in others)
    return policy.avoid_seconds if has_room else 0.0


def _release(tx: Transaction, job: Job, attempt: Attempt, ending: Ending, context: Context) -> None:
    tx.jobs.move(job, JobStatus.PENDING, **_back_in_line(job, attempt, ending))
    tx.events.append(_event(EventKind.JOB_RELEASED, job, attempt, ending, context, {}))


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
    kind: EventKind,
    job: Job,
    attempt: Attempt,
    ending: Ending,
    context: Context,
    facts: Mapping[str, Any],
) -> Event:
    said = {"outcome": ending.outcome, "failure": ending.failure, "error": ending.error}
    return Event(
        kind=kind,
        at=context.now(),
        job_id=job.id,
        node_id=attempt.node_id,
        attempt=attempt.number,
        data={name: value for name, value in said.items() if value is not None} | dict(facts),
    )
