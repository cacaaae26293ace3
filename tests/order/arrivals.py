"""The work: what is submitted when, and how long each job runs."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import TypeVar

from ffrtmp.domain.job import JobRequest
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.domain.retry import FailureClass
from tests import builders

MEAN_RUN_SECONDS = 30.0
MEDIAN_RUN_SECONDS, SPREAD = 20.0, 0.9
LONGEST_RUN_SECONDS = 240.0
QUEUES = {Queue.LIVE: 0.25, Queue.DEFAULT: 0.45, Queue.BATCH: 0.3}
PRIORITIES = {Priority.HIGH: 0.2, Priority.MEDIUM: 0.6, Priority.LOW: 0.2}
HARDWARE = {Hardware.AUTO: 0.6, Hardware.CPU: 0.2, Hardware.GPU: 0.12, Hardware.NVENC: 0.08}
CODECS = {Codec.H264: 0.55, Codec.HEVC: 0.25, Codec.AV1: 0.12, Codec.VP9: 0.08}
GPU_CODECS = {Codec.H264: 0.55, Codec.HEVC: 0.35, Codec.AV1: 0.1}
LOADS = (0.7, 1.3, 0.6, 1.5, 0.9, 1.2, 0.5)
"""What arrives, as a share of what the fleet can do, from one part of the run to the next."""
BURST, JOBS_OF_A_BURST = 0.002, 0.005
"""How often, per submit, a burst comes, and its part of all jobs."""
FLOOD, FEW_OF = 1.5, 15
"""What arrives in a flood of live jobs, and one in how many stands for each other queue."""
SUBMIT_SECONDS = 1.0
FAILS_ONCE, FAILS_FOR_EVER = 0.01, 0.003

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """A job to be: ``run_seconds`` on a CPU slot, and what becomes of its first run."""

    request: JobRequest
    run_seconds: float
    fails_at_first: FailureClass | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """What one client submits at one moment."""

    at_seconds: float
    work: Sequence[Work]


def arrivals(
    count: int,
    *,
    work_per_second: float,
    rng: random.Random,
    hardware: Mapping[Hardware, float] = HARDWARE,
    loads: Sequence[float] = LOADS,
) -> Iterator[Arrival]:
    """So many jobs, in submits of a second each, with bursts."""
    left, seconds = count, 0.0
    while left:
        seconds += SUBMIT_SECONDS
        load = loads[min(len(loads) - 1, (count - left) * len(loads) // count)]
        expected = load * work_per_second / MEAN_RUN_SECONDS * SUBMIT_SECONDS
        size = _poisson(expected, rng)
        if rng.random() < BURST:
            size += int(count * JOBS_OF_A_BURST)
        size = min(left, size)
        if size:
            yield Arrival(at_seconds=seconds, work=[_work(rng, hardware) for _ in range(size)])
        left -= size


def live_flood(count: int, *, work_per_second: float, rng: random.Random) -> Iterator[Arrival]:
    """Live jobs without end, more than can be run, and a few of the other queues among them."""
    few = count // FEW_OF
    filling = [_work(rng, HARDWARE, queue=Queue.LIVE) for _ in range(2 * few)]
    others = [
        _work(rng, HARDWARE, queue=queue)
        for queue in (Queue.DEFAULT, Queue.BATCH)
        for _ in range(few)
    ]
    yield Arrival(at_seconds=1.0, work=filling)
    yield Arrival(at_seconds=2.0, work=others)
    left, seconds = count - len(filling) - len(others), 2.0
    while left:
        seconds += SUBMIT_SECONDS
        expected = FLOOD * work_per_second / MEAN_RUN_SECONDS * SUBMIT_SECONDS
        size = min(left, _poisson(expected, rng))
        if size:
            work = [_work(rng, HARDWARE, queue=Queue.LIVE) for _ in range(size)]
            yield Arrival(at_seconds=seconds, work=work)
        left -= size


def cpu_rush(count: int, *, work_per_second: float, rng: random.Random) -> Iterator[Arrival]:
    """Jobs that any device can run, and a moment later, all at once, better ones for CPUs only."""
    at_first, live = count // 8, count // 2
    anywhere = [_work(rng, {Hardware.AUTO: 1.0}) for _ in range(count - live)]
    better = [_work(rng, {Hardware.CPU: 1.0}, queue=Queue.LIVE) for _ in range(live)]
    fills = MEAN_RUN_SECONDS * at_first / work_per_second
    yield Arrival(at_seconds=1.0, work=anywhere[:at_first])
    yield Arrival(at_seconds=1.0 + fills / 8, work=better + anywhere[at_first:])


def _work(rng: random.Random, asks: Mapping[Hardware, float], queue: Queue | None = None) -> Work:
    hardware = _one_of(asks, rng)
    is_gpu = hardware in (Hardware.GPU, Hardware.NVENC)
    chance = rng.random()
    fails = FailureClass.CONNECTION if chance < FAILS_ONCE else None
    return Work(
        request=_request(
            queue or _one_of(QUEUES, rng),
            _one_of(PRIORITIES, rng),
            hardware,
            _one_of(GPU_CODECS if is_gpu else CODECS, rng),
        ),
        run_seconds=_run_seconds(rng),
        fails_at_first=FailureClass.BAD_INPUT if chance > 1 - FAILS_FOR_EVER else fails,
    )


@cache
def _request(queue: Queue, priority: Priority, hardware: Hardware, codec: Codec) -> JobRequest:
    requires = f"{hardware}:{codec}"
    return builders.request(queue=queue, priority=priority, requires=requires, hardware=hardware)


def _run_seconds(rng: random.Random) -> float:
    drawn = MEDIAN_RUN_SECONDS * rng.lognormvariate(0.0, SPREAD)
    return min(LONGEST_RUN_SECONDS, max(1.0, drawn))


def _one_of(weights: Mapping[T, float], rng: random.Random) -> T:
    return rng.choices(list(weights), weights=list(weights.values()))[0]


def _poisson(expected: float, rng: random.Random) -> int:
    """Arrivals in a second, from the gaps between them."""
    count, passed = 0, rng.expovariate(1.0)
    while passed < expected:
        count, passed = count + 1, passed + rng.expovariate(1.0)
    return count
