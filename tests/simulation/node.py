"""A simulated node: the agent's protocol as the design has it, without ffmpeg.

What a crash loses and what it does not is explicit: ``spool`` survives a process, the rest of
the state is a Process and dies with it.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from ffrtmp.domain.attempt import AttemptProgress, Order, Outcome, Report
from ffrtmp.domain.errors import Conflict, FarmError, StaleEpoch
from ffrtmp.domain.hint import Hint, node_queue_name, queue_names
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.attempts import Claim, Grant
from ffrtmp.services.nodes import Beat
from tests import builders
from tests.simulation.world import RULES, Unreachable, World

HEARTBEAT_SECONDS = 10.0
RETRY_SECONDS = 2.0
CONSUME_SECONDS = 1.5
STREAM_FENCE_SECONDS = RULES.node_timeout_seconds - 15.0


class Fate(StrEnum):
    """What running a job leads to, decided when the job is made."""

    FINE = "fine"
    BROKEN = "broken"  # permanent
    FLAKY = "flaky"  # transient, on the first attempt
    POISON = "poison"  # kills the agent, every time
    STUCK = "stuck"  # progress stops, on the first attempt


class Phase(StrEnum):
    """How far an attempt's own work is; from ENCODED on it survives the process."""

    RUNNING = "running"
    ENCODED = "encoded"
    PUBLISHED = "published"
    FAILED = "failed"


@dataclass
class Work:
    """One attempt in a node's hands."""

    grant: Grant
    phase: Phase = Phase.RUNNING
    failure: FailureClass | None = None
    sha256: str = ""
    moved: int = 0
    committed_at: float = 0.0

    @property
    def key(self) -> tuple[str, int]:
        return (self.grant.job.id, self.grant.attempt.number)


@dataclass
class Process:
    """What dies with the agent."""

    epoch: int = 0
    seq: int = 0
    running: dict[tuple[str, int], Work] = field(default_factory=dict)
    in_flight: set[str] = field(default_factory=set)
    last_heard: float = 0.0


class SimNode:
    """One host; ``fates`` says what each job leads to."""

    def __init__(self, world: World, name: str, *, slots: int, fates: dict[str, Fate]) -> None:
        self.world = world
        self.name = name
        self.slots = slots
        self.fates = fates
        self.spool: dict[tuple[str, int], Work] = {}
        self.process: Process | None = None
        self.is_cut_off = False
        self.frozen_until = 0.0
        self.own_fault_until = -1e9
        self._claims = 0
        world.nudge_targets[name] = lambda: self._alive(self._send_heartbeat)
        self.start()

    # life

    def start(self) -> None:
        """A new agent process: register before anything else."""
        process = self.process = Process(last_heard=self.world.seconds)
        for work in list(self.spool.values()):
            if work.phase is Phase.RUNNING:
                del self.spool[work.key]
        self._then(0.1, process, self._register)

    def crash(self) -> None:
        """kill -9: the process and its ffmpeg are gone, the spool stays."""
        self.process = None
        self.blame(0.0)

    def blame(self, seconds: float) -> None:
        """From now until then plus the node timeout a loss is this node's own doing."""
        until = self.world.seconds + seconds + RULES.node_timeout_seconds + 60.0
        self.own_fault_until = max(self.own_fault_until, until)

    def freeze(self, seconds: float) -> None:
        """SIGSTOP: everything waits, and goes on later as if nothing had been."""
        self.frozen_until = self.world.seconds + seconds
        self.blame(seconds)

    def is_publishing(self, job_id: str) -> bool:
        """Whether a stream of this job leaves this node now."""
        process = self.process
        if process is None or self.world.seconds < self.frozen_until:
            return False
        if self.world.seconds - process.last_heard >= STREAM_FENCE_SECONDS:
            return False
        works = process.running.values()
        return any(work.grant.job.id == job_id and work.grant.job.is_stream for work in works)

    def _alive(self, act: Callable[[Process], None]) -> None:
        if self.process is not None:
            self._then(0.0, self.process, act)

    def _then(self, seconds: float, process: Process, act: Callable[[Process], None]) -> None:
        """Do something later, if this process still lives then and once it is not frozen."""

        def turn() -> None:
            if self.process is not process:
                return
            if self.world.seconds < self.frozen_until:
                self._then(self.frozen_until - self.world.seconds + 0.01, process, act)
                return
            self._fence_streams(process)
            act(process)

        self.world.after(seconds, turn)

    def _call(self, request: Callable[[], object]) -> object:
        return self.world.call(lambda: not self.is_cut_off, request)

    # protocol

    def _register(self, process: Process) -> None:
        said = builders.registration(self.name, slots=self.slots, holding=frozenset(self.spool))
        asked_at = self.world.seconds
        try:
            registered = self.world.call(
                lambda: not self.is_cut_off, lambda: self.world.farm.nodes.register(said)
            )
        except Unreachable:
            self._then(self.world.jitter(RETRY_SECONDS), process, self._register)
            return
        process.epoch = registered.view.node.epoch
        process.last_heard = asked_at
        for work in list(self.spool.values()):
            self._deliver(process, work)
        self._then(self.world.jitter(HEARTBEAT_SECONDS), process, self._beat)
        self._then(self.world.jitter(CONSUME_SECONDS), process, self._consume)
        self._then(HEARTBEAT_SECONDS, process, self._poll)

    def _beat(self, process: Process) -> None:
        self._send_heartbeat(process)
        self._then(HEARTBEAT_SECONDS, process, self._beat)

    def _send_heartbeat(self, process: Process) -> None:
        if process.epoch == 0:
            return
        process.seq += 1
        held = {**process.running, **self.spool}
        beat = Beat(
            node_id=self.name,
            epoch=process.epoch,
            seq=process.seq,
            attempts=[self._progress(work) for work in held.values()],
            claims_in_flight=frozenset(process.in_flight),
        )
        sent_at = self.world.seconds
        # On the way for a moment: what is claimed meanwhile is not in it.
        self._then(self.world.jitter(0.2), process, lambda p: self._arrive(p, beat, sent_at))

    def _arrive(self, process: Process, beat: Beat, sent_at: float) -> None:
        try:
            answer = self.world.call(
                lambda: not self.is_cut_off, lambda: self.world.farm.nodes.heartbeat(beat)
            )
        except Unreachable:
            return
        except StaleEpoch:
            self._stop_all(process)
            self.start()
            return
        process.last_heard = max(process.last_heard, sent_at)
        for said, order in answer.orders:
            if order is not Order.GO_ON:
                process.running.pop((said.job_id, said.number), None)

    def _progress(self, work: Work) -> AttemptProgress:
        stuck = self._fate(work) is Fate.STUCK and work.grant.attempt.number == 1
        work.moved += 0 if stuck and work.phase is Phase.RUNNING else 1
        return AttemptProgress(
            job_id=work.key[0],
            number=work.key[1],
            progress=0.5,
            mark=str(work.moved),
            phase=work.phase,
        )

    def _consume(self, process: Process) -> None:
        names = (*queue_names(with_gpu=False), node_queue_name(self.name))
        while len(process.running) + len(process.in_flight) < self.slots:
            hint = self.world.broker.pop(names)
            if hint is None:
                break
            self._ask_for_work(process, hint)
        self._then(self.world.jitter(CONSUME_SECONDS), process, self._consume)

    def _poll(self, process: Process) -> None:
        is_idle = len(process.running) + len(process.in_flight) < self.slots
        if is_idle and not self.world.broker.is_up:
            self._ask_for_work(process)
        self._then(HEARTBEAT_SECONDS, process, self._poll)

    def claim_now(self) -> None:
        """Claim in this very instant if a slot is free: for mutants with a gap to fall into."""
        process = self.process
        if process is not None and len(process.running) + len(process.in_flight) < self.slots:
            self._claims += 1
            claim_id = f"{self.name}-{self._claims:016d}"
            asked = Claim(
                node_id=self.name,
                epoch=process.epoch,
                claim_id=claim_id,
                heartbeat_seq=process.seq,
            )
            self._answered(process, asked, self.world.farm.attempts.claim(asked))

    def _ask_for_work(self, process: Process, hint: Hint | None = None) -> None:
        self._claims += 1
        claim = Claim(
            node_id=self.name,
            epoch=process.epoch,
            claim_id=f"{self.name}-{self._claims:016d}",
            heartbeat_seq=process.seq,
        )
        process.in_flight.add(claim.claim_id)
        self.world.hints[claim.claim_id] = hint
        self._then(self.world.jitter(0.05), process, lambda p: self._claim(p, claim))

    def _claim(self, process: Process, claim: Claim) -> None:
        try:
            grant = self.world.call(
                lambda: not self.is_cut_off, lambda: self.world.farm.attempts.claim(claim)
            )
        except Unreachable:
            again = self.world.jitter(RETRY_SECONDS)
            self._then(again, process, lambda p: self._claim(p, claim))
            return
        except Conflict:
            process.in_flight.discard(claim.claim_id)
            return
        # The answer travels too: a heartbeat built meanwhile does not list what it brings.
        self._then(self.world.jitter(0.3), process, lambda p: self._answered(p, claim, grant))

    def _answered(self, process: Process, claim: Claim, grant: Grant | None) -> None:
        process.in_flight.discard(claim.claim_id)
        if grant is None:
            return
        work = Work(grant)
        process.running[work.key] = work
        seconds = self.world.jitter(20.0)
        self._then(seconds, process, lambda p: self._encoded(p, work))

    def _encoded(self, process: Process, work: Work) -> None:
        if work.key not in process.running:
            return
        fate, is_first = self._fate(work), work.grant.attempt.number == 1
        if fate is Fate.POISON:
            self.crash()
            self.world.after(self.world.jitter(3.0), self.restart)
            return
        if fate is Fate.STUCK and is_first:
            self._then(20.0, process, lambda p: self._encoded(p, work))
            return
        if fate is Fate.BROKEN or (fate is Fate.FLAKY and is_first):
            failure = FailureClass.BAD_INPUT if fate is Fate.BROKEN else FailureClass.ENCODER
            work.phase, work.failure = Phase.FAILED, failure
        else:
            existing = self.world.disk.files.get(work.grant.job.id)
            adopted = existing if existing in work.grant.committed_sha256 else None
            work.sha256 = adopted or f"{self.world.rng.getrandbits(256):064x}"
            work.phase = Phase.ENCODED
        self.spool[work.key] = process.running.pop(work.key)
        self.publish_early(work)
        self._deliver(process, work)

    def restart(self) -> None:
        if self.process is None:
            self.start()

    def publish_early(self, work: Work) -> None:
        """Nothing: publishing comes after the commit. A mutant does it here."""

    def _deliver(self, process: Process, work: Work) -> None:
        if self.spool.get(work.key) is not work:
            return
        try:
            self._step(process, work)
        except Unreachable:
            again = self.world.jitter(RETRY_SECONDS)
            self._then(again, process, lambda p: self._deliver(p, work))
        except FarmError:
            # Not this node's any more: only its own attempt-named files go.
            self.spool.pop(work.key, None)

    def _step(self, process: Process, work: Work) -> None:
        if work.phase is Phase.ENCODED:
            self._call(lambda: self._commit(work))
            self._then(self.world.jitter(0.1), process, lambda p: self._publish(p, work))
            return
        self._call(lambda: self._report(work))
        self.spool.pop(work.key, None)

    def _commit(self, work: Work) -> None:
        grant, sha = work.grant, None if work.grant.job.is_stream else work.sha256
        self.world.farm.attempts.commit(
            grant.job.id,
            grant.attempt.number,
            node_id=self.name,
            lease=grant.attempt.lease,
            size=1,
            sha256=sha,
        )
        work.committed_at = self.world.seconds

    def _publish(self, process: Process, work: Work) -> None:
        if self.spool.get(work.key) is not work:
            return
        if self.world.seconds - work.committed_at > RULES.node_timeout_seconds / 2:
            # It slept between the answer and now: ask again before touching the destination.
            self._deliver(process, work)
            return
        if not work.grant.job.is_stream:
            self._link(work)
        work.phase = Phase.PUBLISHED if work.failure is None else Phase.FAILED
        self._then(self.world.jitter(0.1), process, lambda p: self._deliver(p, work))

    def _link(self, work: Work) -> None:
        disk, name = self.world.disk, work.grant.job.id
        if not disk.link(name, work.sha256):
            own = {work.sha256, *work.grant.committed_sha256}
            if disk.files[name] in own:
                disk.files[name] = work.sha256
            else:
                work.failure = FailureClass.OUTPUT_EXISTS

    def _report(self, work: Work) -> None:
        is_done = work.phase is Phase.PUBLISHED
        is_file = not work.grant.job.is_stream
        self.world.farm.attempts.report(
            Report(
                job_id=work.key[0],
                node_id=self.name,
                number=work.key[1],
                lease=work.grant.attempt.lease,
                outcome=Outcome.COMPLETED if is_done else Outcome.FAILED,
                failure_class=None if is_done else work.failure,
                error=None if is_done else "it broke",
                sha256=work.sha256 if is_done and is_file else None,
            )
        )

    def _fence_streams(self, process: Process) -> None:
        """A stream's lease runs out on the node before the master may give it away."""
        if self.world.seconds - process.last_heard < STREAM_FENCE_SECONDS:
            return
        for work in list(process.running.values()):
            if work.grant.job.is_stream:
                del process.running[work.key]

    def _stop_all(self, process: Process) -> None:
        process.running.clear()

    def _fate(self, work: Work) -> Fate:
        return self.fates.get(work.grant.job.id, Fate.FINE)
