"""The farm's invariants, read from its database and files after the fact.

Nothing here asks the code under test: rows, events and bytes speak for themselves.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path

from ffrtmp.domain.attempt import Attempt, Outcome
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.ranking import Priority, Queue, rank_of
from ffrtmp.store.engine import Store
from ffrtmp.store.jobs import JobFilter

MANY = 1_000_000
ENDS = {
    EventKind.JOB_COMPLETED: JobStatus.COMPLETED,
    EventKind.JOB_FAILED: JobStatus.FAILED,
    EventKind.JOB_CANCELED: JobStatus.CANCELED,
}


def violations(store: Store, *, at_rest: bool = True) -> list[str]:
    """What must not be, in words; nothing where every invariant holds.

    ``at_rest`` also wants every job ended. Start order is checked for jobs that wait for their
    first attempt or were released: for what waits for a retry, events do not tell enough. Nor do
    they on PostgreSQL, which numbers events before they are committed.
    """
    with store.read() as tx:
        jobs = tx.jobs.list(JobFilter(), limit=MANY)
        attempts = {job.id: tx.attempts.of_job(job.id) for job in jobs}
        events = tx.events.after(0, limit=MANY)
        slots = {node.id: node.slots for node in tx.nodes.every()}
    by_job = defaultdict(list)
    for event in events:
        if event.job_id is not None:
            by_job[event.job_id].append(event)
    found = list(_slots_kept(events, slots))
    if store.is_sqlite:
        found += _start_order(events)
    for job in jobs:
        found += _job(job, attempts[job.id], by_job[job.id], at_rest=at_rest)
    return found


def file_violations(store: Store, *folders: Path) -> list[str]:
    """Completed jobs whose file is not what was accepted, and leftovers in the folders."""
    with store.read() as tx:
        jobs = tx.jobs.list(JobFilter(status=JobStatus.COMPLETED), limit=MANY)
    found = []
    for job in jobs:
        result = job.result or {}
        if job.is_stream or "output" not in result:
            continue
        path = Path(result["output"])
        if not path.exists():
            found.append(f"job {job.sequence_number}: {path} is not there")
        elif hashlib.sha256(path.read_bytes()).hexdigest() != result["sha256"]:
            found.append(f"job {job.sequence_number}: {path} is not the accepted file")
    left = [part for folder in folders for part in folder.rglob("*.part")]
    return found + [f"{part} was left behind" for part in left]


def _job(
    job: Job, attempts: Sequence[Attempt], history: Sequence[Event], *, at_rest: bool
) -> Iterator[str]:
    name = f"job {job.sequence_number}"
    numbers = [attempt.number for attempt in attempts]
    if numbers != list(range(1, len(numbers) + 1)):
        yield f"{name} has attempts {numbers}"
    accepted = [a.number for a in attempts if a.outcome is Outcome.COMPLETED]
    if len(accepted) != (job.status is JobStatus.COMPLETED):
        yield f"{name} is {job.status} with accepted results {accepted}"
    live = [a.number for a in attempts if a.is_live]
    if len(live) > 1 or (live and job.status.is_terminal):
        yield f"{name} is {job.status} with live leases {live}"
    if job.failures > 1 + job.max_retries:
        yield f"{name} failed {job.failures} times of {1 + job.max_retries}"
    if at_rest and not job.status.is_terminal:
        yield f"{name} is stuck: {job.status}"
    yield from _ends_once(name, job, history)


def _ends_once(name: str, job: Job, history: Sequence[Event]) -> Iterator[str]:
    ended: JobStatus | None = None
    for event in history:
        if ended is not None and event.kind is not EventKind.JOB_RETRIED:
            yield f"{name}: {event.kind} after it was {ended}"
        ended = ENDS.get(event.kind)
    if job.status.is_terminal and ended is not job.status:
        yield f"{name} is {job.status}, its history says {ended}"


def _start_order(events: Sequence[Event]) -> Iterator[str]:
    """A claim that passed over a better job, ordered as the database ordered them."""
    waiting: dict[str, tuple[int, int]] = {}
    places: dict[str, tuple[int, int]] = {}
    for number, event in enumerate(events):
        job_id = event.job_id
        if job_id is None:
            continue
        if event.kind is EventKind.JOB_SUBMITTED:
            waiting[job_id] = places[job_id] = (event.data["rank"], number)
        elif event.kind is EventKind.JOB_RELEASED:
            waiting[job_id] = places[job_id]
        elif event.kind is EventKind.JOB_REPRIORITIZED:
            rank = rank_of(Queue(event.data["queue"]), Priority(event.data["to"]))
            places[job_id] = (rank, places[job_id][1])
            if job_id in waiting:
                waiting[job_id] = places[job_id]
        elif event.kind is EventKind.JOB_CLAIMED:
            place = waiting.pop(job_id, places[job_id])
            better = [other for other, its in waiting.items() if its < place]
            if better:
                yield f"{job_id} started before {better[:3]}"
        else:
            waiting.pop(job_id, None)


def _slots_kept(events: Sequence[Event], slots: dict[str, int]) -> Iterator[str]:
    running: dict[str, str] = {}
    ends = {*ENDS, EventKind.JOB_RETRY_SCHEDULED, EventKind.JOB_RELEASED}
    for event in events:
        if event.kind is EventKind.JOB_CLAIMED and event.job_id and event.node_id:
            running[event.job_id] = event.node_id
            held = sum(node == event.node_id for node in running.values())
            if held > slots.get(event.node_id, MANY):
                yield f"node {event.node_id} held {held} leases at event {event.id}"
        elif event.kind in ends and event.job_id:
            running.pop(event.job_id, None)
