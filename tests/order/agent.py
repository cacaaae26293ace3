"""A model of the agent: pools that hear hints, claims, runs, heartbeats, and its mishaps."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from ffrtmp.domain.attempt import AttemptProgress, Order
from ffrtmp.domain.device import Device
from ffrtmp.domain.errors import FarmError, StaleEpoch
from ffrtmp.domain.hint import node_queue_name, queue_name
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.ranking import Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.attempts import Claim, Grant
from ffrtmp.services.nodes import Beat
from tests import builders
from tests.order.arrivals import Work
from tests.order.nodes import GPU_SPEED, Host, Trouble
from tests.order.slots import Slot, Slots
from tests.order.world import World

BEAT_SECONDS = 30.0
ASK_SECONDS = 0.1
"""From a hint to its claim, at most."""
FAILS_AFTER_SECONDS = 2.0


class Claims(Protocol):
    """Who carries claims to the farm, and knows the work."""

    def claim(self, asked: Claim) -> Grant | None:
        """As AttemptService.claim; None where it is refused."""
        ...

    def work_of(self, job_id: str) -> Work:
        """What was submitted as this job."""
        ...


@dataclass(slots=True, kw_only=True)
class Run:
    """An attempt that the agent runs; ``turn`` counts its starts, pauses included."""

    grant: Grant
    slot: Slot
    seconds_left: float
    began_at: float
    is_suspended: bool = False
    turn: int = 0


class Pool:
    """Slots that the same queues ring for."""

    def __init__(
        self, agent: "Agent", *, is_gpu: bool, is_reserved: bool, names: Sequence[str]
    ) -> None:
        self._agent = agent
        self._is_gpu = is_gpu
        self._is_reserved = is_reserved
        self.names = names

    def try_take(self, excluding: Sequence[str] = ()) -> Slot | None:
        """A free slot of this pool."""
        if not self._agent.accepts:
            return None
        return self._agent.slots.try_take(
            is_gpu=self._is_gpu, is_reserved=self._is_reserved, excluding=excluding
        )

    def look(self) -> None:
        """Take hints that wait for as long as a slot is free; then listen, or not."""
        bell = self._agent.world.bell
        while (slot := self.try_take()) is not None:
            hint = bell.pop(self.names)
            if hint is None:
                self._agent.slots.give_back(slot)
                bell.listen(self)
                return
            self._ask_later(slot)
        bell.leave(self)

    def ask_unasked(self) -> None:
        """A slot has become free on a GPU: jobs for any hardware ring for CPUs."""
        slot = self.try_take() if self._is_gpu else None
        if slot is not None:
            self._ask_later(slot)

    def take(self) -> None:
        """A hint that was handed to it."""
        slot = self.try_take()
        if slot is not None:
            self._ask_later(slot)
        self.look()

    def _ask_later(self, slot: Slot) -> None:
        delay = self._agent.world.rng.uniform(0.0, ASK_SECONDS)
        self._agent.later(delay, lambda: self._ask(slot))

    def _ask(self, slot: Slot) -> None:
        tried: list[str] = []
        found: Slot | None = slot
        while found is not None:
            if self._agent.start(found):
                return
            tried.append(found.device.id)
            found = self.try_take(tried)
        self.look()


class Agent:
    """One node's process, and those that follow it."""

    def __init__(self, world: World, host: Host, claims: Claims) -> None:
        self.world = world
        self.host = host
        self._claims = claims
        self._asked = 0
        self._process = 0
        self._epoch = 0
        self._seq = 0
        self.is_silent = True
        self._is_draining = False
        self.slots = Slots(host.devices, reserve_live=host.reserve_live)
        self._runs: dict[tuple[str, int], Run] = {}
        self.pools = [
            pool
            for is_gpu in (False, True)
            for is_reserved in (True, False)
            if (pool := self._pool(is_gpu=is_gpu, is_reserved=is_reserved)) is not None
        ]
        world.nudged[host.id] = lambda: self._beat(self._process)
        world.after(world.rng.uniform(0.0, 1.0), self._begin)
        self._plan_mishap()

    @property
    def accepts(self) -> bool:
        """Whether it takes hints."""
        return not (self.is_silent or self._is_draining)

    def is_sick(self, device: Device) -> bool:
        """Whether every job fails on a device now."""
        mishap = self.host.mishap
        if mishap is None:
            return False
        if not mishap.at_seconds <= self.world.seconds < mishap.until_seconds:
            return False
        if mishap.trouble is Trouble.SICK_GPU:
            return device.id == "gpu0"
        return mishap.trouble is Trouble.SICK

    def later(self, seconds: float, act: Callable[[], None]) -> None:
        """Unless its process has ended by then."""
        process = self._process

        def turn() -> None:
            if self._process == process:
                act()

        self.world.after(seconds, turn)

    def start(self, slot: Slot) -> bool:
        """Claim for a slot and run what was given; the slot is open again where nothing was."""
        self._asked += 1
        asked = Claim(
            node_id=self.host.id,
            epoch=self._epoch,
            claim_id=f"{self.host.id}-{self._asked}",
            heartbeat_seq=self._seq,
            device=slot.device.id,
            is_reserved=slot.is_reserved,
        )
        grant = None if self.is_silent else self._claims.claim(asked)
        if grant is None:
            self.slots.give_back(slot)
            return False
        seconds = self._claims.work_of(grant.job.id).run_seconds
        run = Run(
            grant=grant,
            slot=slot,
            seconds_left=seconds / GPU_SPEED if slot.device.is_gpu else seconds,
            began_at=self.world.seconds,
        )
        if self.is_sick(slot.device):
            run.seconds_left = FAILS_AFTER_SECONDS
        self._runs[grant.job.id, grant.attempt.number] = run
        self._go_on(run)
        return True

    # life

    def _begin(self) -> None:
        self._process += 1
        self._runs.clear()
        self.slots = Slots(self.host.devices, reserve_live=self.host.reserve_live)
        said = builders.registration(
            self.host.id,
            devices=self.host.devices,
            queues=self.host.queues,
            reserve_live=self.host.reserve_live,
        )
        self._epoch = self.world.farm.nodes.register(said).view.node.epoch
        self._seq = 0
        self.is_silent = False
        process = self._process
        self.later(self.world.rng.uniform(0.0, BEAT_SECONDS), lambda: self._beat_on(process))
        self._look()

    def _plan_mishap(self) -> None:
        mishap = self.host.mishap
        if mishap is None or mishap.trouble in (Trouble.SICK, Trouble.SICK_GPU):
            return
        self.world.at(mishap.at_seconds, self._fall_silent)
        if mishap.trouble is Trouble.AWAY:
            self.world.at(mishap.until_seconds, self._come_back)
        if mishap.trouble is Trouble.RESTART:
            self.world.at(mishap.at_seconds + 10.0, self._begin)

    def _fall_silent(self) -> None:
        self.is_silent = True
        if self.host.mishap and self.host.mishap.trouble is not Trouble.AWAY:
            self._process += 1
        for pool in self.pools:
            self.world.bell.leave(pool)

    def _come_back(self) -> None:
        self.is_silent = False
        self._beat(self._process)
        for run in list(self._runs.values()):
            if run.seconds_left <= 0:
                self._finish(run)
        self._look()

    def _look(self) -> None:
        for pool in self.pools:
            pool.look()

    def _pool(self, *, is_gpu: bool, is_reserved: bool) -> Pool | None:
        if not self.slots.count(is_gpu=is_gpu, is_reserved=is_reserved):
            return None
        hardware = Hardware.GPU if is_gpu else Hardware.CPU
        served = [queue for queue in Queue if queue in self.host.queues]
        if is_reserved:
            served = [queue for queue in served if queue is Queue.LIVE]
        is_alone = not self.slots.count(is_gpu=is_gpu, is_reserved=False)
        own = (node_queue_name(self.host.id, is_gpu=is_gpu),)
        names = (
            *(own if is_alone or not is_reserved else ()),
            *(queue_name(queue, hardware) for queue in served),
        )
        return Pool(self, is_gpu=is_gpu, is_reserved=is_reserved, names=names)

    # heartbeats

    def _beat_on(self, process: int) -> None:
        self._beat(process)
        self.later(BEAT_SECONDS, lambda: self._beat_on(process))

    def _beat(self, process: int) -> None:
        if self.is_silent or process != self._process:
            return
        self._seq += 1
        beat = Beat(
            node_id=self.host.id,
            epoch=self._epoch,
            seq=self._seq,
            attempts=[self._progress(run) for run in self._runs.values()],
            claims_in_flight=frozenset(),
        )
        try:
            answer = self.world.farm.nodes.heartbeat(beat)
        except StaleEpoch:
            return
        self._is_draining = answer.drain
        self.slots.aside = answer.devices_aside
        for said, order in answer.orders:
            self._obey(self._runs[said.job_id, said.number], order)
        for device_id in answer.canaries:
            self._try_canary(device_id)
        self._look()

    def _obey(self, run: Run, order: Order) -> None:
        if order is Order.PAUSE:
            self._suspend(run)
        elif order is Order.GO_ON:
            if run.is_suspended:
                self.slots.take(run.slot)
                run.is_suspended = False
                self._go_on(run)
        else:
            self._drop(run)

    def _try_canary(self, device_id: str) -> None:
        device = next(one for one in self.host.devices if one.id == device_id)
        if not self.slots.on(device):
            self.start(self.slots.take(Slot(device=device, is_reserved=False)))

    def _progress(self, run: Run) -> AttemptProgress:
        return AttemptProgress(
            job_id=run.grant.job.id,
            number=run.grant.attempt.number,
            progress=0.5,
            mark=str(self._seq),
            phase="encoding",
        )

    # runs

    def _go_on(self, run: Run) -> None:
        run.turn += 1
        run.began_at = self.world.seconds
        turn = run.turn
        self.later(run.seconds_left, lambda: self._encoded(run, turn))

    def _encoded(self, run: Run, turn: int) -> None:
        if run.turn != turn or run.is_suspended or not self._is_mine(run):
            return
        run.seconds_left = 0.0
        if not self.is_silent:
            self._finish(run)

    def _suspend(self, run: Run) -> None:
        if run.is_suspended:
            return
        run.is_suspended = True
        run.seconds_left -= self.world.seconds - run.began_at
        self.slots.give_back(run.slot)

    def _finish(self, run: Run) -> None:
        """Commit and report what became of it."""
        attempts, attempt = self.world.farm.attempts, run.grant.attempt
        failure = self._failure(run)
        try:
            if failure is not None:
                attempts.report(builders.failed(run.grant, failure))
            else:
                attempts.commit(
                    attempt.job_id,
                    attempt.number,
                    node_id=self.host.id,
                    lease=attempt.lease,
                    size=1,
                    sha256=builders.SHA_A,
                )
                attempts.report(builders.completed(run.grant))
        except FarmError:
            # Its lease had run out; the next attempt is somebody else's.
            pass
        self._drop(run)
        for pool in self.pools:
            pool.ask_unasked()
        self._look()

    def _failure(self, run: Run) -> FailureClass | None:
        if self.is_sick(run.slot.device):
            return FailureClass.HARDWARE if run.slot.device.is_gpu else FailureClass.ENCODER
        fails = self._claims.work_of(run.grant.job.id).fails_at_first
        return fails if run.grant.attempt.number == 1 else None

    def _drop(self, run: Run) -> None:
        if self._runs.pop((run.grant.job.id, run.grant.attempt.number), None) is None:
            return
        if not run.is_suspended:
            self.slots.give_back(run.slot)

    def _is_mine(self, run: Run) -> bool:
        return (run.grant.job.id, run.grant.attempt.number) in self._runs
