"""The farm's invariants, read from events, rows and files, never from the code under test."""

from collections import Counter
from collections.abc import Sequence

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.attempts import Claim, Grant
from ffrtmp.store.jobs import JobFilter
from tests.simulation.node import SimNode
from tests.simulation.world import Violation, World

EVERY = 25
TERMINAL_EVENTS = {EventKind.JOB_COMPLETED, EventKind.JOB_FAILED, EventKind.JOB_CANCELED}


class Checker:
    """Watches one world; raises Violation at the first fact that must not be."""

    def __init__(self, world: World, nodes: Sequence[SimNode]) -> None:
        self._world = world
        self._nodes = {node.name: node for node in nodes}
        self._last_event = 0
        self._turns = 0
        self._ended: dict[str, EventKind] = {}
        self._watch_claims()

    def turn(self) -> None:
        """After every simulated event; the database is looked at every few."""
        self._turns += 1
        self._one_publisher()
        if self._turns % EVERY == 0:
            self._history()

    def end(self, submissions: int) -> None:
        """When the world has come to rest."""
        self._history()
        jobs = self._jobs()
        _require(len(jobs) == submissions, f"{submissions} submits made {len(jobs)} jobs")
        for job in jobs:
            _require(job.status.is_terminal, f"{job.id} is stuck: {job.status}")
            self._attempts_are_whole(job)
            self._file_is_right(job)

    def is_at_rest(self, submissions: int) -> bool:
        """Whether every job has ended."""
        jobs = self._jobs()
        return len(jobs) >= submissions and all(job.status.is_terminal for job in jobs)

    def _jobs(self) -> Sequence[Job]:
        return self._world.farm.jobs.list(JobFilter(), limit=1000)

    def _watch_claims(self) -> None:
        """Invariant 4: no attempt starts while a better job that the node could run waits."""
        service = self._world.farm.attempts
        claim = service.claim

        def watched(asked: Claim) -> Grant | None:
            best = self._best_for_anyone()
            grant = claim(asked)
            if grant is not None and grant.attempt.number > self._attempts_before.get(
                grant.job.id, 0
            ):
                better = [one for one in best if _comes_before(one, grant.job)]
                _require(not better, f"{grant.job.id} started before {[b.id for b in better]}")
            return grant

        service.claim = watched  # type: ignore[method-assign]

    def _best_for_anyone(self) -> Sequence[Job]:
        now = self._world.now()
        jobs = self._jobs()
        self._attempts_before = {job.id: job.attempt for job in jobs}
        return [
            job
            for job in jobs
            if job.status is JobStatus.PENDING
            and (job.retry_at is None or job.retry_at <= now)
            and job.hold_until_farm is None
            and (job.avoid_node_id is None)
        ]

    def _one_publisher(self) -> None:
        publishing = Counter(
            key[0]
            for node in self._nodes.values()
            for key in (node.process.running if node.process else ())
            if node.is_publishing(key[0])
        )
        twice = [job_id for job_id, count in publishing.items() if count > 1]
        _require(not twice, f"two nodes publish {twice}")

    def _history(self) -> None:
        with self._world.farm.store.read() as tx:
            news = tx.events.after(self._last_event, limit=10_000)
            held = tx.attempts.live_by_node()
        for event in news:
            self._last_event = event.id or 0
            self._terminal_states_stay(event)
            self._healthy_nodes_are_not_lost(event)
        for name, attempts in held.items():
            _require(len(attempts) <= self._nodes[name].slots, f"{name} holds too many leases")

    def _terminal_states_stay(self, event: Event) -> None:
        if event.job_id is None:
            return
        ended = self._ended.get(event.job_id)
        if event.kind is EventKind.JOB_RETRIED:
            self._ended.pop(event.job_id, None)
        elif ended is not None:
            raise Violation(f"{event.job_id}: {event.kind} after {ended}")
        elif event.kind in TERMINAL_EVENTS:
            self._ended[event.job_id] = event.kind

    def _healthy_nodes_are_not_lost(self, event: Event) -> None:
        is_loss = event.data.get("outcome") == Outcome.NODE_LOST
        if not (is_loss or event.kind is EventKind.NODE_OFFLINE) or event.node_id is None:
            return
        if is_loss and self._is_stream(event.job_id):
            return  # a stream fences itself, and is then missing from heartbeats
        node = self._nodes[event.node_id]
        _require(
            self._world.seconds <= node.own_fault_until,
            f"{node.name} is healthy at {self._world.seconds:.0f} s, yet {event.kind} {event.data}",
        )

    def _is_stream(self, job_id: str | None) -> bool:
        return job_id is not None and self._world.farm.jobs.get(job_id).is_stream

    def _attempts_are_whole(self, job: Job) -> None:
        attempts = self._world.farm.jobs.attempts(job.id)
        numbers = [attempt.number for attempt in attempts]
        _require(numbers == list(range(1, len(numbers) + 1)), f"{job.id} ran as {numbers}")
        _require(job.failures <= 1 + job.max_retries, f"{job.id} failed {job.failures} times")
        accepted = [a for a in attempts if a.outcome is Outcome.COMPLETED]
        is_done = job.status is JobStatus.COMPLETED
        _require(len(accepted) == is_done, f"{job.id} has {len(accepted)} accepted results")
        _require(not any(a.is_live for a in attempts), f"{job.id} ended with a live lease")

    def _file_is_right(self, job: Job) -> None:
        content = self._world.disk.files.get(job.id)
        reason = job.failure_reason
        _require(reason is not FailureClass.OUTPUT_EXISTS, f"{job.id} found a stranger's file")
        if job.is_stream:
            return
        if job.status is JobStatus.COMPLETED:
            accepted = (job.result or {}).get("sha256")
            _require(content == accepted, f"{job.id} published {content}, accepted {accepted}")
        elif content is not None:
            committed = [a.sha256 for a in self._world.farm.jobs.attempts(job.id)]
            _require(content in committed, f"{job.id} is {job.status} and left a file")


def _comes_before(one: Job, other: Job) -> bool:
    return (one.rank, one.sequence_number) < (other.rank, other.sequence_number)


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise Violation(otherwise)
