"""What this node speaks for: its attempts, its unanswered claims, the heartbeats it has built.

One lock covers all three, because the master's rule "lost when heartbeats built after the claim
was answered omit it" is only true if a claim becomes an attempt in one step.
"""

import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum

from ffrtmp.schemas import AttemptBeat
from workers.suspension import Suspension

MAX_RATE = 1e6
MAX_COUNT = 10**12
MARK_LENGTH = 128
LEASE_MARGIN_SECONDS = 15.0
LEASE_MARGIN_SHARE = 0.25
PAUSED = "paused"


class StopReason(StrEnum):
    """Why an attempt is ended from outside."""

    CANCELED = "canceled"
    GONE = "gone"
    RELEASED = "released"
    OVERDUE = "overdue"


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far an attempt is; ``mark`` differs whenever anything moved.

    ``ends_by``, by the attempt's own clock, is when a time limit of its own ends the step.
    ``is_silent`` marks such a step if nothing tells how far it is: until then every heartbeat
    counts as movement.
    """

    phase: str
    mark: str
    ends_by: float | None = None
    is_silent: bool = False
    fraction: float = 0.0
    fps: float | None = None
    speed: float | None = None
    bits_per_second: float | None = None
    dropped_frames: int | None = None


def sure_seconds(node_timeout_seconds: float) -> float:
    """How long after its request a lease surely runs: less than the master says, by a margin in
    which a stream's publisher is killed and every delay fits."""
    margin = min(LEASE_MARGIN_SECONDS, LEASE_MARGIN_SHARE * node_timeout_seconds)
    return node_timeout_seconds - margin


class Held:
    """One attempt this node answers for, from its claim until the master knows its end.

    ``suspension`` makes it stand still; its clock, which then stands still too, is the attempt's.
    """

    def __init__(self, *, job_id: str, number: int, lease: str, lease_until: float = 0.0) -> None:
        """``lease_until`` (boot seconds): the master may give the job away after that."""
        self.job_id = job_id
        self.number = number
        self.lease = lease
        self.progress = Progress(phase="starting", mark="starting")
        self.suspension = Suspension()
        self._lock = threading.Lock()
        self._reason: StopReason | None = None
        self._stopped_at: float | None = None
        self._stopper: Callable[[], None] | None = None
        self._lease_until = lease_until
        self._on_renewal: Callable[[float], None] | None = None

    def __str__(self) -> str:
        return f"{self.job_id}/{self.number}"

    @property
    def stop_reason(self) -> StopReason | None:
        """Why it must end, None while it may go on."""
        return self._reason

    def stop(self, reason: StopReason) -> None:
        """Order it to end; the first reason stays. Does not wait for the end.

        A suspended one continues first, in its slot, so that it can end.
        """
        with self._lock:
            if self._reason is not None:
                return
            self._reason = reason
            self._stopped_at = time.monotonic()
            stopper = self._stopper
        self.suspension.end()
        if stopper is not None:
            stopper()

    def on_stop(self, stopper: Callable[[], None] | None) -> None:
        """What ends its running process; called at once where it was already ordered to end."""
        with self._lock:
            self._stopper = stopper
            is_late = self._reason is not None
        if is_late and stopper is not None:
            stopper()

    @property
    def lease_until(self) -> float:
        """Boot seconds until which the lease surely runs."""
        return self._lease_until

    def renew(self, until: float) -> None:
        """A heartbeat that lists it was answered: the lease runs until these boot seconds."""
        with self._lock:
            self._lease_until = max(self._lease_until, until)
            told, until = self._on_renewal, self._lease_until
        if told is not None:
            told(until)

    def on_renewal(self, told: Callable[[float], None] | None) -> None:
        """Who hears of every renewal from now on, and of the present end at once."""
        with self._lock:
            self._on_renewal, until = told, self._lease_until
        if told is not None:
            told(until)

    def is_overdue(self, *, after_seconds: float) -> bool:
        """True once this long has passed since an order, or its step's own limit, was to end it."""
        stopped_at, ends_by = self._stopped_at, self.progress.ends_by
        if stopped_at is not None and time.monotonic() > stopped_at + after_seconds:
            return True
        return ends_by is not None and self.suspension.clock() > ends_by + after_seconds

    def beat(self, seq: int) -> AttemptBeat:
        """Its line in heartbeat ``seq``."""
        now = self.progress
        clock = self.suspension.clock()
        moves = now.is_silent and now.ends_by is not None and clock < now.ends_by
        mark = f"{now.mark} {seq}" if moves else now.mark
        return AttemptBeat(
            job_id=self.job_id,
            attempt=self.number,
            progress=min(1.0, max(0.0, now.fraction)),
            mark=mark[:MARK_LENGTH],
            phase=PAUSED if self.suspension.is_on else now.phase,
            fps=_rate(now.fps),
            speed=_rate(now.speed),
            bits_per_second=_whole(now.bits_per_second),
            dropped_frames=_whole(now.dropped_frames),
        )


def _whole(value: float | None) -> int | None:
    return None if value is None else min(MAX_COUNT, max(0, round(value)))


def _rate(value: float | None) -> float | None:
    return None if value is None else min(MAX_RATE, max(0.0, value))


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """One question for work: its id, and the heartbeats built before it was first sent."""

    claim_id: str
    heartbeat_seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """What one heartbeat says."""

    seq: int
    attempts: tuple[Held, ...]
    claims_in_flight: tuple[str, ...]


class Ledger:
    """The attempts, claims and heartbeat count of one agent process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._attempts: dict[tuple[str, int], Held] = {}
        self._claims: set[str] = set()
        self._built = 0

    def begin_claim(self) -> Claim:
        """A new claim, in flight until ``end_claim`` or ``admit``."""
        with self._lock:
            claim = Claim(claim_id=uuid.uuid4().hex, heartbeat_seq=self._built)
            self._claims.add(claim.claim_id)
            return claim

    def end_claim(self, claim_id: str) -> None:
        """The claim brought nothing."""
        with self._lock:
            self._claims.discard(claim_id)

    def admit(self, held: Held, *, claim_id: str | None = None) -> None:
        """List an attempt from now on; its claim, if any, stops being in flight in that step."""
        with self._lock:
            self._claims.discard(claim_id or "")
            self._attempts[held.job_id, held.number] = held

    def remove(self, held: Held) -> None:
        """The master knows its end."""
        with self._lock:
            self._attempts.pop((held.job_id, held.number), None)

    def find(self, job_id: str, number: int) -> Held | None:
        """The attempt, where this node holds it."""
        with self._lock:
            return self._attempts.get((job_id, number))

    def attempts(self) -> tuple[Held, ...]:
        """All attempts now held."""
        with self._lock:
            return tuple(self._attempts.values())

    @property
    def has_suspended(self) -> bool:
        """True while some attempt stands still."""
        return any(held.suspension.is_on for held in self.attempts())

    def build_heartbeat(self) -> Snapshot:
        """Count one more heartbeat and say what it lists."""
        with self._lock:
            self._built += 1
            return Snapshot(
                seq=self._built,
                attempts=tuple(self._attempts.values()),
                claims_in_flight=tuple(sorted(self._claims)),
            )
