"""Why a job is not running, in one line and in numbers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from statistics import median

from ffrtmp.domain.attempt import Attempt, Pause
from ffrtmp.domain.device import Device
from ffrtmp.domain.forecast import remaining_of, seconds_until_start
from ffrtmp.domain.job import Job, JobStatus
from ffrtmp.domain.node import Node
from ffrtmp.domain.occupancy import Occupancy
from ffrtmp.domain.placement import GSTREAMER_NEED, able_devices, is_avoiding
from ffrtmp.domain.ranking import Queue, QueuePause
from ffrtmp.services.context import Context
from ffrtmp.store.engine import Transaction

MOST_COUNTED = 10_000
NODES_CONSIDERED = 1000
OUT_OF_WORK_CONSIDERED = 100
ATTEMPTS_CONSIDERED = 1000
ENDED_CONSIDERED = 1000
RUNS_CONSIDERED = 50
SHOWN_LENGTH = 200

Place = tuple[Node, Device]


@dataclass(frozen=True, slots=True, kw_only=True)
class Waiting:
    """How far a pending job is from its start; the numbers that GET /jobs/{id} gives."""

    reason: str
    rank: int = 0
    position: int = 0
    jobs_ahead: int = 0
    slots: int = 0
    slots_free: int = 0
    estimated_start_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Scene:
    """What was read for the answer, at one moment."""

    now: datetime
    farm_seconds: float
    nodes: Sequence[Node]
    out_of_work: Sequence[Node]
    paused: Mapping[Queue, QueuePause]
    occupancy: Occupancy
    running: Sequence[Attempt]
    position: int
    jobs_ahead: int
    run_seconds: float | None

    def places(self, job: Job) -> Sequence[Place]:
        """The devices at work that could run the job."""
        return [(node, device) for node in self.nodes for device in able_devices(node, job)]


class Explain:
    """Answers "why is it waiting"."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def waiting_reason(self, job: Job) -> str | None:
        """One line for a pending or paused job, None for any other."""
        found = self.waiting(job)
        return None if found is None else found.reason

    def waiting(self, job: Job) -> Waiting | None:
        """The line and the numbers; None for a job that neither waits nor is paused."""
        if job.status is JobStatus.PAUSED:
            return self._paused(job)
        if job.status is not JobStatus.PENDING:
            return None
        with self._context.store.read() as tx:
            scene = self._scene(tx, job)
        places = scene.places(job)
        is_live = job.queue is Queue.LIVE
        slots, free = _slots(scene, places, is_live=is_live)
        starts_in = _estimate(job, scene, places, free)
        cause = _not_due(job, scene) or _paused_queue(job, scene) or _lacking(job, scene, places)
        if cause is None and free > scene.jobs_ahead:
            cause = "about to start"
        standing = _standing(job, scene, slots, free, starts_in)
        return Waiting(
            reason=standing if cause is None else f"{cause}; {standing}",
            rank=job.rank,
            position=scene.position,
            jobs_ahead=scene.jobs_ahead,
            slots=slots,
            slots_free=free,
            estimated_start_seconds=starts_in,
        )

    def _scene(self, tx: Transaction, job: Job) -> Scene:
        nodes = tx.nodes.accepting(limit=NODES_CONSIDERED)
        needs = {
            need
            for node in nodes
            for device in able_devices(node, job)
            for need in device.capabilities
        } | {job.requires}
        how_many = {"among": ENDED_CONSIDERED, "limit": RUNS_CONSIDERED}
        runs = tx.backlog.run_seconds(job.scenario, **how_many)
        runs = runs or tx.backlog.run_seconds(None, **how_many)
        return Scene(
            now=self._context.now(),
            farm_seconds=self._context.farm_seconds(tx),
            nodes=nodes,
            out_of_work=tx.nodes.out_of_work(limit=OUT_OF_WORK_CONSIDERED),
            paused=tx.clock.paused_queues(),
            occupancy=Occupancy.of(tx.attempts.taken()),
            running=tx.attempts.live(limit=ATTEMPTS_CONSIDERED),
            position=1 + tx.backlog.count_ahead_in_rank(job, most=MOST_COUNTED),
            jobs_ahead=tx.backlog.count_ahead(job, requires=needs, most=MOST_COUNTED),
            run_seconds=median(runs) if runs else None,
        )

    def _paused(self, job: Job) -> Waiting | None:
        with self._context.store.read() as tx:
            attempt = tx.attempts.get(job.id, job.attempt)
        if attempt is None or attempt.pause is None:
            return None
        if attempt.pause is Pause.OPERATOR:
            return Waiting(reason="paused by an operator; jobs resume lets it go on", rank=job.rank)
        where = f"{attempt.device} of node {attempt.node_name}"
        reason = f"suspended to make room; goes on when {where} has a slot and it is its turn"
        return Waiting(reason=reason, rank=job.rank)


def _not_due(job: Job, scene: Scene) -> str | None:
    if job.retry_at is not None and job.retry_at > scene.now:
        wait = (job.retry_at - scene.now).total_seconds()
        return f"retry {job.retry_count} is due in {_for(wait)}, after: {_short(job.error)}"
    if job.hold_until_farm is not None and job.hold_until_farm > scene.farm_seconds:
        wait = job.hold_until_farm - scene.farm_seconds
        return (
            "its last node may still be publishing; "
            f"its lease runs out in {_for(wait)} unless the node says that it ended"
        )
    return None


def _paused_queue(job: Job, scene: Scene) -> str | None:
    pause = scene.paused.get(job.queue)
    if pause is None:
        return None
    why = f": {pause.reason}" if pause.reason else ""
    return f"the {job.queue} queue is paused since {pause.since:%Y-%m-%d %H:%M} UTC{why}"


def _lacking(job: Job, scene: Scene, places: Sequence[Place]) -> str | None:
    """What is missing for it to start at all."""
    if places:
        return _avoiding(job, scene, places)
    out = _out_of_work(job, [*scene.nodes, *scene.out_of_work])
    if not scene.nodes:
        return f"no node is online and taking work{out}"
    if not any(job.queue in node.queues for node in scene.nodes):
        return f"no node at work serves the {job.queue} queue{out}"
    if job.requires == GSTREAMER_NEED:
        return f"no node at work has a GStreamer that can publish{out}"
    hardware, _, codec = job.requires.partition(":")
    how = "" if hardware == "auto" else f" with hardware {hardware}"
    return f"no node at work can encode {codec}{how}{out}"


def _out_of_work(job: Job, nodes: Sequence[Node]) -> str:
    """Who could run it but does not work, and why."""
    found = []
    for node in nodes:
        if job.requires not in node.capabilities or job.queue not in node.queues:
            continue
        if node.is_offline:
            found.append(f"{node.name} is offline")
        elif node.is_draining:
            found.append(
                f"{node.name} is drained: {_short(node.drain_reason) or 'no reason given'}"
            )
        else:
            found += [
                f"{name} of {node.name} is {_short(aside.reason)}"
                for name, aside in node.set_aside.items()
            ]
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return f" ({'; '.join(found[:3])}{more})" if found else ""


def _avoiding(job: Job, scene: Scene, places: Sequence[Place]) -> str | None:
    if not all(is_avoiding(job, node.id, device.id, now=scene.now) for node, device in places):
        return None
    until = job.avoid_until or scene.now
    wait = (until - scene.now).total_seconds()
    return f"left for {_for(wait)} to a node it has not failed on, after: {_short(job.error)}"


def _slots(scene: Scene, places: Sequence[Place], *, is_live: bool) -> tuple[int, int]:
    """Slots that could run it, and how many are free."""
    free = sum(scene.occupancy.free(node, device, is_live=is_live) for node, device in places)
    return sum(device.slots for _, device in places), free


def _estimate(job: Job, scene: Scene, places: Sequence[Place], free: int) -> float | None:
    """Seconds until its start, by how long the last jobs ran and how far the running ones are."""
    if not places or job.queue in scene.paused:
        return None
    names = {(node.id, device.id) for node, device in places}
    running = [
        attempt
        for attempt in scene.running
        if attempt.holds_slot and (attempt.node_id, attempt.device) in names
    ]
    if scene.run_seconds is None:
        if scene.jobs_ahead and scene.jobs_ahead >= free:
            return None
        running = [attempt for attempt in running if attempt.progress > 0]
    remaining = [
        remaining_of(
            elapsed_seconds=(scene.now - attempt.started_at).total_seconds(),
            progress=attempt.progress,
            run_seconds=scene.run_seconds,
        )
        for attempt in running
    ]
    wait = seconds_until_start(
        jobs_ahead=scene.jobs_ahead,
        free_slots=free,
        remaining_seconds=remaining,
        run_seconds=scene.run_seconds or 0.0,
    )
    due_in = (job.retry_at - scene.now).total_seconds() if job.retry_at else 0.0
    return None if wait is None else max(wait, due_in)


def _standing(job: Job, scene: Scene, slots: int, free: int, starts_in: float | None) -> str:
    """Its place in line, the slots, and when it may start: said whatever else keeps it."""
    place = f"number {scene.position} of {job.queue}/{job.priority}"
    if job.rank < job.base_rank:
        place += f", raised to rank {job.rank} by waiting"
    room = (
        f"{free} of {slots} slots that could run it are free" if slots else "no slot could run it"
    )
    about = f"; expected to start in about {_for(starts_in)}" if starts_in else ""
    return f"{place}, {_count(scene.jobs_ahead)} ahead; {room}{about}"


def _count(jobs: int) -> str:
    if jobs >= MOST_COUNTED:
        return f"{MOST_COUNTED} jobs or more"
    return "1 job" if jobs == 1 else f"{jobs or 'no'} jobs"


def _for(seconds: float) -> str:
    if seconds < 90:
        return f"{max(0.0, seconds):.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _short(text: str | None) -> str:
    line = " ".join((text or "").split())
    return line if len(line) <= SHOWN_LENGTH else f"{line[: SHOWN_LENGTH - 1]}…"
