"""What a randomized run does and when, drawn from its seed before anything starts."""

import random
from dataclasses import dataclass
from enum import StrEnum

AGENTS = ("east", "north", "west")
GAP_SECONDS = (0.5, 3.0)
QUIET_SHARE = 0.1
"""The last part of a run sees no new fault."""
SUBMIT_SHARE = 0.8
SCENARIOS = ("test-360p", "test-360p-h265", "test-480p30", "live-360p30")
QUEUES = ("live", "default", "batch")
PRIORITIES = ("high", "medium", "low")


class Fault(StrEnum):
    """Everything that may happen to a run."""

    AGENT_KILLED = "agent killed"
    AGENT_TERMINATED = "agent terminated"
    AGENT_FROZEN = "agent frozen"
    CHILD_KILLED = "celery child killed"
    CHILD_FROZEN = "celery child frozen"
    FFMPEG_KILLED = "ffmpeg killed"
    FFMPEG_FROZEN = "ffmpeg frozen"
    HOST_LOST = "host lost"
    API_CUT = "way to the API cut"
    API_SILENT = "way to the API silent"
    ANSWERS_DROPPED = "answers dropped"
    BROKER_CUT = "way to the broker cut"
    BROKER_SILENT = "way to the broker silent"
    FLUSHED = "broker flushed"
    BROKER_KILLED = "broker killed"
    BROKER_FULL = "broker out of memory"
    BROKER_READ_ONLY = "broker read-only"
    GARBAGE = "garbage in the queues"
    REPEATED = "hints repeated"
    API_KILLED = "API killed"
    CONTROL_KILLED = "control killed"
    BEAT_KILLED = "beat killed"
    MASTER_KILLED = "master killed"
    SECOND_CONTROL = "a second control and beat"
    DATABASE_LOCKED = "database locked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Strike:
    """One fault: when it begins, whom it hits, how long it lasts; seconds from the start."""

    at: float
    fault: Fault
    agent: str
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One job: when it is submitted, its body, and what its owner does to it ``after`` seconds."""

    at: float
    body: dict[str, object]
    change: str | None
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A whole run."""

    seed: int
    seconds: float
    strikes: tuple[Strike, ...]
    requests: tuple[Request, ...]


def draw(seed: int, *, jobs: int, seconds: float) -> Plan:
    """The plan of a seed: the same one every time."""
    rng = random.Random(seed)
    requests = sorted((_request(rng, seconds) for _ in range(jobs)), key=lambda one: one.at)
    return Plan(
        seed=seed, seconds=seconds, strikes=_strikes(rng, seconds), requests=tuple(requests)
    )


def _strikes(rng: random.Random, seconds: float) -> tuple[Strike, ...]:
    drawn, at = [], 1.0
    until = seconds * (1 - QUIET_SHARE)
    while (at := at + rng.uniform(*GAP_SECONDS)) < until:
        length = min(rng.choice((0.5, 2.0, 5.0, 9.0)) * rng.uniform(0.5, 1.5), until - at)
        strike = Strike(
            at=at, fault=rng.choice(list(Fault)), agent=rng.choice(AGENTS), seconds=length
        )
        drawn.append(strike)
    return tuple(drawn)


def _request(rng: random.Random, seconds: float) -> Request:
    parameters: dict[str, object] = {"duration": rng.choice((0.1, 0.5, 1, 1, 10, 60))}
    if rng.random() < 0.05:
        parameters["input"] = "/nowhere/absent.mp4"
    body: dict[str, object] = {
        "scenario": rng.choice(SCENARIOS),
        "queue": rng.choice(QUEUES),
        "priority": rng.choice(PRIORITIES),
        "parameters": parameters,
    }
    change = rng.choice((*(None,) * 8, "cancel", "cancel", "reprioritize", "retry"))
    return Request(
        at=rng.uniform(0, seconds * SUBMIT_SHARE), body=body, change=change, after=rng.uniform(0, 3)
    )
