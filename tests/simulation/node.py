"""A simulated node: the agent's protocol as the design has it, without ffmpeg.

What a crash loses and what it does not is explicit: ``spool`` survives a process, the rest of
the state is a Process and dies with it. Its time is the world's: a node's own date is only told,
never used.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import TypeVar

from ffrtmp.domain.attempt import Order
from ffrtmp.domain.errors import NotFound, StaleEpoch
from ffrtmp.services.nodes import Beat
from tests import builders
from tests.simulation.claims import SURE_SECONDS, Claims
from tests.simulation.delivery import Delivery
from tests.simulation.host import Host, build_host
from tests.simulation.network import Request, Unreachable
from tests.simulation.runner import Runner
from tests.simulation.work import LONG_AGO, Fate, Key, Phase, Process, Work
from tests.simulation.world import World

HEARTBEAT_SECONDS = 10.0
RETRY_SECONDS = 2.0
STOP_SECONDS = 6.0
REBUILT = 0.3
REMEMBERED, STILL_ON_THE_WAY = 4, 0.4
"""Of the last requests of a process, and of its registration, some arrive when it is dead."""

T = TypeVar("T")
Act = Callable[[Process], None]


class SimNode:
    """One host; ``fates`` says what each job leads to."""

    def __init__(
        self, world: World, name: str, *, fates: dict[str, Fate], runs_everything: bool
    ) -> None:
        self.world = world
        self.name = name
        self.fates = fates
        self.spool: dict[Key, Work] = {}
        self.process: Process | None = None
        self.given_up: set[Key] = set()
        """Attempts it had and will not finish: whoever says so of others is wrong."""
        self.is_cut_off = self.is_sick = self.is_full = False
        self.bad_devices: set[str] = set()
        self.agent_frozen_until = self.host_frozen_until = self.deaf_until = 0.0
        self.slowness = 1.0
        self.clock_skew = 0.0
        self._runs_everything = runs_everything
        self.host = self._built()
        self._registrations = 0
        self._sent: list[Request] = []
        self._registered_by: list[Request] = []
        self.delivery = Delivery(self)
        self.runner = Runner(self)
        self.claims = Claims(self)
        world.nudge_targets[name] = lambda: self._alive(self._send_heartbeat)
        self.start()

    # life

    def start(self) -> None:
        """A new agent process: register before anything else."""
        rng = self.world.rng
        if rng.random() < REBUILT:
            self.host = self._built()
        for work in self.spool.values():
            work.committed_at = LONG_AGO
        process = self.process = Process(began_at=self.world.seconds)
        self.then(0.1, process, self._begin)

    def _built(self) -> Host:
        is_small = self.world.rules.preempts_batch
        return build_host(self.world.rng, runs_everything=self._runs_everything, is_small=is_small)

    def crash(self) -> None:
        """kill -9: the process and its ffmpeg are gone, the spool stays."""
        if self.process is not None:
            self.given_up |= self.process.running.keys()
        self.process = None
        for request in [*self._sent, *self._registered_by]:
            if self.world.rng.random() < STILL_ON_THE_WAY and not self.is_cut_off:
                self.world.network.send_late(request)
        self._sent, self._registered_by = [], []

    def restart(self) -> None:
        """By a supervisor, unless it runs."""
        if self.process is None:
            self.start()

    def stop(self, *, limit: float, away: float) -> None:
        """SIGTERM: nothing new, let attempts finish, give them back, end; start again later."""
        process = self.process
        if process is not None and not process.is_closing:
            process.is_closing = True
            self.then(limit, process, lambda p: self._give_everything_back(p, away))

    def freeze_host(self, seconds: float) -> None:
        """It sleeps: everything waits, and goes on later as if nothing had been."""
        self.host_frozen_until = self.world.seconds + seconds
        self.freeze_agent(seconds)

    def freeze_agent(self, seconds: float) -> None:
        """SIGSTOP of the agent alone: a stream goes on until its leash ends it."""
        self.agent_frozen_until = self.world.seconds + seconds

    @property
    def is_frozen(self) -> bool:
        """Whether its agent does nothing now."""
        return self.world.seconds < self.agent_frozen_until

    def is_publishing(self, work: Work) -> bool:
        """Whether a stream leaves this node now."""
        seconds = self.world.seconds
        return work.is_stream and self.host_frozen_until <= seconds < work.lease_until

    def then(self, seconds: float, process: Process, act: Act) -> None:
        """Do something later, if this process still lives then and once it is not frozen."""

        def turn() -> None:
            if self.process is not process:
                return
            if self.is_frozen:
                self.then(self.agent_frozen_until - self.world.seconds + 0.01, process, act)
                return
            self.runner.end_overdue_streams(process)
            act(process)

        self.world.after(seconds, turn)

    def call(self, request: Callable[[], T]) -> T:
        """Ask the API; Unreachable."""
        self._sent = [*self._sent[1 - REMEMBERED :], request]
        return self.world.network.call(request, can_reach=lambda: not self.is_cut_off)

    def give_up(self, process: Process, key: Key) -> None:
        """Its work is not wanted: kill it, remove its files."""
        process.running.pop(key, None)
        self.given_up.add(key)

    def _alive(self, act: Act) -> None:
        if self.process is not None:
            self.then(0.0, self.process, act)

    # registration

    def _begin(self, process: Process) -> None:
        self._register(process, self._is_registered)

    def _is_registered(self, process: Process) -> None:
        for work in list(self.spool.values()):
            self.delivery.deliver(process, work)
        self.then(self.world.jitter(HEARTBEAT_SECONDS), process, self._beat)
        self.claims.begin(process)

    def _register(self, process: Process, after: Act = lambda _process: None) -> None:
        """Under one id until it is answered."""
        if not process.registration_id:
            self._registrations += 1
            process.registration_id = f"{self.name}-{self._registrations}"
        try:
            known_epoch = self.call(self._epoch_at_the_master)
        except Unreachable:
            self._register_later(process, after)
            return
        held = {**process.running, **self.spool}
        said = replace(
            builders.registration(
                self.name,
                devices=self.host.devices,
                queues=self.host.queues,
                reserve_live=self.host.reserve_live,
                holding=frozenset(held),
                known_epoch=known_epoch,
            ),
            registration_id=process.registration_id,
        )
        self._registered_by = [lambda: self.world.farm.nodes.register(said)]
        try:
            registered = self.call(lambda: self.world.farm.nodes.register(said))
        except (Unreachable, StaleEpoch):
            self._register_later(process, after)
            return
        process.registration_id = ""
        process.epoch = registered.view.node.epoch
        for key in registered.refused:
            self._obey(process, key)
        after(process)

    def _register_later(self, process: Process, after: Act) -> None:
        again = self.world.jitter(RETRY_SECONDS)
        self.then(again, process, lambda p: self._register(p, after))

    def _epoch_at_the_master(self) -> int:
        try:
            return self.world.farm.nodes.get(self.name).node.epoch
        except NotFound:
            return 0

    def is_unknown(self, process: Process, epoch: int) -> None:
        """The master knows this epoch no longer: the process registers again, with its work."""
        if process.epoch == epoch and not process.registration_id:
            self._register(process)

    # heartbeats

    def beat_now(self) -> None:
        """A heartbeat that arrives in this very instant."""
        process = self.process
        if process is not None and process.epoch and not self.is_frozen:
            self._arrive(process, self._next_beat(process), self.world.seconds)

    def _beat(self, process: Process) -> None:
        self._send_heartbeat(process)
        self.then(HEARTBEAT_SECONDS * self.slowness, process, self._beat)

    def _send_heartbeat(self, process: Process) -> None:
        if process.epoch == 0:
            return
        beat = self._next_beat(process)
        # On the way for a moment: what is claimed meanwhile is not in it.
        seconds = self.world.jitter(0.2) * self.slowness
        sent_at = self.world.seconds
        self.then(seconds, process, lambda p: self._arrive(p, beat, sent_at))

    def _next_beat(self, process: Process) -> Beat:
        process.seq += 1
        held = {**self.spool, **process.running}
        return Beat(
            node_id=self.name,
            epoch=process.epoch,
            seq=process.seq,
            attempts=[work.progress() for work in held.values()],
            claims_in_flight=frozenset(process.in_flight),
            clock_skew_seconds=self.clock_skew,
            slots_lost=process.lost.total(),
        )

    def _arrive(self, process: Process, beat: Beat, sent_at: float) -> None:
        try:
            answer = self.call(lambda: self.world.farm.nodes.heartbeat(beat))
        except Unreachable:
            return
        except (StaleEpoch, NotFound):
            self.is_unknown(process, beat.epoch)
            return
        process.is_draining = answer.drain
        process.aside = frozenset(answer.devices_aside)
        for said, order in answer.orders:
            key = (said.job_id, said.number)
            work = process.running.get(key)
            if order not in (Order.GO_ON, Order.PAUSE):
                self._obey(process, key)
            elif work is not None:
                work.lease_until = max(work.lease_until, sent_at + SURE_SECONDS)
                self.runner.suspend_or_go_on(process, work, is_wanted=order is Order.GO_ON)
        self.claims.ask_for_canaries(process, answer.canaries)

    def _obey(self, process: Process, key: Key) -> None:
        work = self.spool.get(key)
        if key in process.running:
            self.give_up(process, key)
        elif work is not None and work.phase in (Phase.ENCODED, Phase.COMMITTED):
            self.delivery.drop(work)

    # the end

    def _give_everything_back(self, process: Process, away: float) -> None:
        for work in list(process.running.values()):
            self.give_up(process, work.key)
            self.delivery.release(process, work)
        self.then(STOP_SECONDS, process, lambda _: self._ends(away))

    def _ends(self, away: float) -> None:
        self.crash()
        self.world.after(away, self.restart)
