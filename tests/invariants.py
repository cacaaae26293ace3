"""The farm's invariants, read from its database and files after the fact.

Nothing here asks the code under test: rows, events and bytes speak for themselves.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ffrtmp.domain.attempt import Attempt, Outcome
from ffrtmp.domain.device import Device
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.node import Node
from ffrtmp.domain.ranking import Priority, Queue, rank_of
from ffrtmp.store.engine import Store
from ffrtmp.store.jobs import JobFilter

MANY = 1_000_000
ENDS = {
    EventKind.JOB_COMPLETED: JobStatus.COMPLETED,
    EventKind.JOB_FAILED: JobStatus.FAILED,
    EventKind.JOB_CANCELED: JobStatus.CANCELED,
}
STARTS = {EventKind.JOB_CLAIMED, EventKind.JOB_RESUMED}
LEAVES = {
    *ENDS,
    EventKind.JOB_RETRY_SCHEDULED,
    EventKind.JOB_RELEASED,
    EventKind.JOB_PREEMPTED,
    EventKind.JOB_PAUSED,
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
        nodes = {node.id: node for node in tx.nodes.every()}
    by_job = defaultdict(list)
    for event in events:
        if event.job_id is not None:
            by_job[event.job_id].append(event)
    found = list(_slots_kept(events, {name: node.slots for name, node in nodes.items()}))
    if store.is_sqlite:
        line = Line(jobs={job.id: job for job in jobs}, attempts=attempts, nodes=nodes)
        found += _start_order(events, line)
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
        elif _sha256(path) != result["sha256"]:
            found.append(f"job {job.sequence_number}: {path} is not the accepted file")
    left = [part for folder in folders for part in folder.rglob("*.part")]
    return found + [f"{part} was left behind" for part in left]


def _sha256(path: Path) -> str:
    """Of a folder that of its manifest."""
    if not path.is_dir():
        return hashlib.sha256(path.read_bytes()).hexdigest()
    names = sorted(str(file.relative_to(path)) for file in path.rglob("*") if file.is_file())
    manifest = "".join(f"{_sha256(path / name)}  {name}\n" for name in names)
    return hashlib.sha256(manifest.encode()).hexdigest()


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


@dataclass
class Line:
    """Who waits, in which place, as the events tell it."""

    jobs: Mapping[str, Job]
    attempts: Mapping[str, Sequence[Attempt]]
    nodes: Mapping[str, Node]
    places: dict[str, tuple[int, int]] = field(default_factory=dict)
    waiting: dict[str, tuple[int, int]] = field(default_factory=dict)
    paused: set[str] = field(default_factory=set)

    def passed_over(self, claimed: Event) -> list[str]:
        """The better jobs that waited for the slot that this claim filled."""
        job_id = claimed.job_id or ""
        place = self.waiting.pop(job_id, self.places[job_id])
        node = self.nodes.get(claimed.node_id or "")
        device = node.device(claimed.data["device"]) if node is not None else None
        attempt = next(
            (one for one in self.attempts[job_id] if one.number == claimed.attempt), None
        )
        if node is None or device is None or attempt is None:
            return []
        return [
            other
            for other, its in self.waiting.items()
            if its < place and self._could_run(self.jobs[other], node, device, attempt)
        ]

    def hear(self, job_id: str, event: Event, number: int) -> None:
        """What an event other than a claim does to a job's place."""
        match event.kind:
            case EventKind.JOB_SUBMITTED:
                self.waiting[job_id] = self.places[job_id] = (event.data["rank"], number)
            case EventKind.JOB_RELEASED | EventKind.JOB_PREEMPTED:
                self.waiting[job_id] = self.places[job_id]
            case EventKind.JOB_RAISED:
                self.move(job_id, event.data["rank"])
            case EventKind.JOB_REPRIORITIZED:
                said = event.data
                self.move(job_id, rank_of(Queue(said["queue"]), Priority(said["to"])))
            case _:
                self.waiting.pop(job_id, None)

    def move(self, job_id: str, rank: int) -> None:
        """Another rank, in the same turn of coming."""
        self.places[job_id] = (rank, self.places[job_id][1])
        if job_id in self.waiting:
            self.waiting[job_id] = self.places[job_id]

    def _could_run(self, job: Job, node: Node, device: Device, attempt: Attempt) -> bool:
        is_left_to_gpus = (
            job.hardware is Hardware.AUTO
            and not device.is_gpu
            and any(one.is_gpu for known in self.nodes.values() for one in known.devices)
        )
        return (
            job.requires in device.capabilities
            and job.queue in node.queues
            and job.queue not in self.paused
            and not is_left_to_gpus
            and (job.queue is Queue.LIVE or not attempt.is_reserved)
        )


def _start_order(events: Sequence[Event], line: Line) -> Iterator[str]:
    """A claim that passed over a better job, ordered as the database ordered them."""
    for number, event in enumerate(events):
        if event.kind in (EventKind.QUEUE_PAUSED, EventKind.QUEUE_RESUMED):
            change = (
                line.paused.add if event.kind is EventKind.QUEUE_PAUSED else line.paused.discard
            )
            change(event.data["queue"])
        elif event.job_id is None or event.job_id not in line.jobs:
            continue
        elif event.kind is not EventKind.JOB_CLAIMED:
            line.hear(event.job_id, event, number)
        elif better := line.passed_over(event):
            yield f"{event.job_id} started before {better[:3]}"


def _slots_kept(events: Sequence[Event], slots: Mapping[str, int]) -> Iterator[str]:
    running: dict[str, str] = {}
    for event in events:
        if event.kind in STARTS and event.job_id and event.node_id:
            running[event.job_id] = event.node_id
            held = sum(node == event.node_id for node in running.values())
            if held > slots.get(event.node_id, MANY):
                yield f"node {event.node_id} held {held} leases at event {event.id}"
        elif event.kind in LEAVES and event.job_id:
            running.pop(event.job_id, None)
