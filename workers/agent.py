"""The agent process: puts the parts together, starts them, and ends them in order."""

import contextlib
import faulthandler
import logging
import os
import queue
import signal
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx

from ffrtmp.client import Connection, MasterClient
from ffrtmp.config import WorkerSettings
from ffrtmp.config.broker import is_usable
from ffrtmp.config.exposed import exposed_broker
from ffrtmp.schemas import HeartbeatAnswer
from workers import node, recovery
from workers.child import ChildSettings
from workers.claims import Claims
from workers.delivery import Delivery
from workers.encoder import Encoder
from workers.errors import AgentError
from workers.hardware import host
from workers.heartbeat import Heart
from workers.hints import HintListeners, Hints
from workers.identity import Identity
from workers.intake import Intake, Listeners
from workers.ledger import Ledger, StopReason
from workers.limits.attempt import Limiter
from workers.metrics import Metrics, serve_metrics
from workers.node import NodeFacts
from workers.poller import Poller
from workers.pools import Pool, queue_names
from workers.registration import Registrar, Session
from workers.remote.s3 import S3Access
from workers.remote.stores import Stores
from workers.room import Room
from workers.runner import Runner
from workers.socket_server import SocketServer
from workers.spool import Spool
from workers.streamer import Streamer
from workers.threads import start_loop, start_thread

HEARTBEAT_TIMEOUT = httpx.Timeout(5.0, connect=3.0)
STOP_SECONDS = 6.0
CHILD_STOP_SECONDS = 3.0
HUNG_SECONDS = 5.0
"""What a stop may take beyond its parts before the process ends itself, saying where it hangs."""
SIGNAL_SECONDS = 1.0
"""A signal that comes just before the main thread starts to wait does not wake it."""
log = logging.getLogger(__name__)

Order = signal.Signals | AgentError
"""What the main thread is told: a signal, or what makes further work impossible."""


class Agent:
    """One node. Built before it registers; ``run`` registers, works, and ends."""

    def __init__(
        self,
        settings: WorkerSettings,
        *,
        identity: Identity,
        facts: NodeFacts,
        ffmpeg: Path,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._facts = facts
        self._mailbox: queue.SimpleQueue[Order] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._closing = threading.Event()
        self._state = node.state_folder(settings)
        self._places = node.places(settings)
        self._room = Room(self._places.output_folder, self._state)
        self._metrics = Metrics()
        self._ledger = Ledger()
        self._slots = node.slots_of(settings, facts)
        self._spool = Spool(self._state / "attempts")
        self._api_client = MasterClient(Connection.of(settings, key=settings.api_key))
        self._client = MasterClient(Connection.of(settings, key=identity.token))
        self._heart_client = MasterClient(
            Connection.of(settings, key=identity.token), timeout=HEARTBEAT_TIMEOUT
        )
        self._registrar = Registrar(
            client=self._api_client,
            describe=lambda: node.registration(settings, identity, facts, self._ledger),
            on_lost=lambda lost: recovery.drop_lost(self._ledger, lost),
        )
        self._stores = Stores(
            allow_networks=self._places.allow_networks,
            s3=S3Access(endpoint=settings.s3_endpoint, region=settings.s3_region),
        )
        self._delivery = Delivery(
            client=self._client,
            spool=self._spool,
            ledger=self._ledger,
            stores=self._stores,
            node_timeout_seconds=lambda: self._registrar.session.node_timeout_seconds,
        )
        self._heart = self._build_heart()
        self._poller = Poller(
            self._slots.pools,
            interval_seconds=settings.poll_interval,
            hints_arrive=lambda pool: self._hints is not None and self._hints.arrive(pool),
            start_attempt=lambda pool: self._intake.start_unasked(pool),
        )
        self._intake = self._build_intake(ffmpeg)
        self._socket = SocketServer(
            self._state,
            take_hint=lambda line, is_wanted: self._intake.take_hint(
                line.pool, line.job_id, trace_parent=line.trace_parent, is_wanted=is_wanted
            ),
            on_dropped=lambda count: self._metrics.hints.labels("dropped").inc(count),
        )
        self._hints: Hints | None = None
        self._closers: list[Callable[[], None]] = []

    def tell(self, order: Order) -> None:
        """Wake the main thread; safe in a signal handler."""
        self._mailbox.put(order)

    def run(self) -> int:
        """Register, work until told to end, and end; the exit code. AgentError if refused."""
        recovery.clear_unfinished(self._spool)
        self._facts.means.clear()
        recovery.hold_finished(self._spool, self._ledger, self._delivery)
        try:
            session = self._register()
            if session is None:
                return 0
            self._start(session)
            print(
                f"registered {session.name} ({session.node_id}) at {self._settings.master_url}",
                flush=True,
            )
            order = self._wait_for_order()
            self._drain(order)
            if isinstance(order, AgentError):
                raise order
            return 0
        finally:
            self._close()

    def _register(self) -> Session | None:
        """Ask until answered, while signals still end the process."""
        answers: queue.SimpleQueue[Session | AgentError] = queue.SimpleQueue()

        def ask() -> None:
            session = self._registrar.register(self._stop)
            if session is not None:
                answers.put(session)

        start_loop("registration", ask, stop=self._stop, fatal=answers.put)
        while self._mailbox.empty():
            try:
                answer = answers.get(timeout=0.05)
            except queue.Empty:
                continue
            if isinstance(answer, AgentError):
                raise answer
            return answer
        return None

    def _start(self, session: Session) -> None:
        self._metrics.observe(
            jobs_active=lambda: self._slots.busy,
            slots=lambda: self._slots.count,
            slots_lost=lambda: self._slots.lost,
            undelivered=lambda: self._delivery.waiting,
            child_faults=lambda: self._hints.child_faults if self._hints else 0,
            takes_hints=lambda: self._hints is not None and self._hints.all_arrive,
        )
        self._serve_metrics()
        loops: list[tuple[str, Callable[[threading.Event], None]]] = [
            ("heartbeat", self._heart.run),
            ("delivery", self._delivery.run),
            ("socket", self._socket.run),
            ("poller", self._poller.run),
        ]
        if self._settings.tls.ca or self._settings.tls.cert:
            # Only here: what reads certificates is heavy.
            from workers.certificates import ClientCertificates

            watch = ClientCertificates(self._settings.tls, self._metrics.registry)
            loops.append(("certificates", watch.run))
        broker_url = self._settings.broker or session.broker_url
        if broker_url is not None and not is_usable(broker_url):
            log.error("the master names no usable broker; asking for work every poll_interval")
        elif broker_url is not None:
            self._hints = self._build_hints(self._settings.secured(broker_url), session)
            self._closers.append(self._hints.close)
            loops += self._hints.loops
            for name, loop in self._hints.child_loops:
                thread = self._loop(name, loop)
                self._closers.append(partial(thread.join, CHILD_STOP_SECONDS))
        for name, loop in loops:
            self._loop(name, loop)
        self._poller.look_now()

    def _loop(self, name: str, loop: Callable[[threading.Event], None]) -> threading.Thread:
        return start_loop(name, lambda: loop(self._stop), stop=self._stop, fatal=self.tell)

    def _serve_metrics(self) -> None:
        if self._settings.metrics_port is None:
            return
        try:
            port, close = serve_metrics(self._metrics, self._settings.metrics_port)
        except OSError as error:
            # Two agents on one host is usual; a taken port must not keep a node from working.
            log.warning("no metrics: port %d: %s", self._settings.metrics_port, error)
            return
        self._closers.append(close)
        log.info("metrics at http://127.0.0.1:%d/metrics", port)

    def _wait_for_order(self) -> Order:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._mailbox.get(timeout=SIGNAL_SECONDS)

    def _drain(self, order: Order) -> None:
        """Take nothing new, let attempts finish for a while, then give them back."""
        limit = 0.0 if isinstance(order, AgentError) else self._settings.drain_timeout
        faulthandler.dump_traceback_later(
            limit + STOP_SECONDS + CHILD_STOP_SECONDS + HUNG_SECONDS, exit=True
        )
        self._closing.set()
        self._want_hints()
        log.info("stopping: %d attempts have %g s to finish", self._slots.busy, limit)
        until = time.monotonic() + limit
        while time.monotonic() < until and self._mailbox.empty():
            self._give_back_suspended()
            if self._slots.wait_until_idle(timeout_seconds=0.1):
                break
        for held in self._ledger.attempts():
            held.stop(StopReason.RELEASED)
        self._slots.wait_until_idle(timeout_seconds=STOP_SECONDS)

    def _give_back_suspended(self) -> None:
        """What stands still finishes in no time that a stop could wait."""
        for held in self._ledger.attempts():
            if held.suspension.is_on:
                held.stop(StopReason.RELEASED)

    def _close(self) -> None:
        self._stop.set()
        self._heart.beat_now()
        for close in reversed(self._closers):
            close()
        self._socket.close()
        self._facts.means.clear()

    def _build_heart(self) -> Heart:
        return Heart(
            client=self._heart_client,
            registrar=self._registrar,
            ledger=self._ledger,
            load=self._load,
            slots_lost=lambda: self._slots.lost,
            idle_seconds=self._settings.heartbeat_interval,
            busy_seconds=self._settings.busy_heartbeat_interval,
            on_answer=self._on_answer,
        )

    def _build_intake(self, ffmpeg: Path) -> Intake:
        threads, targets = self._facts.threads, self._facts.targets
        runner = Runner(
            node_id=self._identity.node_id,
            client=self._client,
            encoder=Encoder(ffmpeg=ffmpeg, threads=threads, targets=targets),
            streamer=Streamer(
                ffmpeg=ffmpeg,
                threads=threads,
                targets=targets,
                gstreamer=self._facts.gstreamer,
                reconnect_seconds=self._settings.reconnect_timeout,
            ),
            limiter=Limiter(self._facts.means, cores=host.usable(), uid=self._facts.box.uid),
            ceilings=node.ceilings(self._settings),
            box=self._facts.box,
            places=self._places,
            stores=self._stores,
            spool=self._spool,
            ledger=self._ledger,
            delivery=self._delivery,
            on_end=lambda outcome: self._metrics.attempts.labels(outcome).inc(),
            kill_seconds=self._settings.kill_timeout,
        )
        claims = Claims(
            client=self._client,
            registrar=self._registrar,
            ledger=self._ledger,
            stop=self._closing,
            on_nothing=self._heart.beat_now,
        )
        return Intake(
            slots=self._slots,
            claims=claims,
            run=runner.run,
            has_room=lambda: self._room.is_enough,
            closing=self._closing,
            listeners=Listeners(
                on_change=self._heart.beat_now,
                on_free_slot=self._poller.look_now,
                on_hint=lambda is_started: self._metrics.hints.labels(
                    "started" if is_started else "nothing"
                ).inc(),
            ),
        )

    def _want_hints(self) -> None:
        """A pool that takes nothing now would only throw its hints away."""
        if self._hints is not None:
            pools = self._slots.pools if self._intake.accepts else ()
            self._hints.want([pool for pool in pools if self._slots.is_open(pool)])

    def _load(self) -> dict[str, Any]:
        found = host.load() | self._room.load()
        return found if self._hints is None else found | self._hints.load()

    def _on_answer(self, answer: HeartbeatAnswer) -> None:
        self._metrics.heartbeats.inc()
        self._intake.set_draining(answer.drain)
        self._slots.set_aside(answer.devices_aside)
        self._want_hints()
        for device in answer.canaries:
            start_thread(f"canary {device}", partial(self._intake.start_canary, device))

    def _build_hints(self, broker_url: str, session: Session) -> Hints:
        if warning := exposed_broker(broker_url):
            log.warning("%s", warning)
        return Hints(
            [self._child_settings(pool, broker_url, session) for pool in self._slots.pools],
            broker_url=broker_url,
            node_id=session.node_id,
            socket=self._socket,
            consumer_timeout_seconds=self._settings.consumer_timeout,
            listeners=HintListeners(
                on_nudge=self._heart.beat_now, on_restart=self._metrics.child_restarts.inc
            ),
        )

    def _child_settings(self, pool: Pool, broker_url: str, session: Session) -> ChildSettings:
        return ChildSettings(
            broker_url=broker_url,
            pool=pool,
            queue_names=queue_names(
                pool,
                node_id=session.node_id,
                queues=self._facts.queues,
                pools=self._slots.pools,
            ),
            concurrency=self._slots.count_of(pool),
            node_name=session.name,
            socket_path=self._socket.path,
            parent_pid=os.getpid(),
            tracing=self._settings.tracing,
        )


def take_signals(agent: Agent) -> None:
    """SIGTERM and SIGINT drain, a second one skips the wait; SIGHUP (a closed terminal) drains."""
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda received, _frame: agent.tell(signal.Signals(received)))
