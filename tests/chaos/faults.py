"""Doing to a farm what a plan says, each fault on real processes, and undoing it."""

import contextlib
import random
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager

import psutil
import redis

from tests.chaos.farm import ChaosFarm, Part
from tests.chaos.host import Host
from tests.chaos.plan import QUEUES, Fault, Strike
from tests.chaos.proxy import Proxy

DEATH_SECONDS = 5.0
GARBAGE = (b"", b"\x80\x02", b"null", b"[]", b"{}", b"[" * 100_000, b"a" * 100_000)
TARGETS = {
    Fault.API_CUT: ("{agent} api",),
    Fault.API_SILENT: ("{agent} api",),
    Fault.ANSWERS_DROPPED: ("{agent} api",),
    Fault.BROKER_CUT: ("{agent} broker",),
    Fault.BROKER_SILENT: ("{agent} broker",),
    Fault.HOST_LOST: ("{agent}", "{agent} api", "{agent} broker"),
    Fault.BROKER_KILLED: ("broker",),
    Fault.BROKER_FULL: ("broker",),
    Fault.BROKER_READ_ONLY: ("broker",),
    Fault.FLUSHED: ("messages",),
    Fault.GARBAGE: ("messages",),
    Fault.REPEATED: ("messages",),
    Fault.API_KILLED: ("api",),
    Fault.CONTROL_KILLED: ("control",),
    Fault.BEAT_KILLED: ("beat",),
    Fault.MASTER_KILLED: ("api", "control", "beat"),
    Fault.SECOND_CONTROL: ("second control",),
    Fault.DATABASE_LOCKED: ("database",),
}
"""What each fault takes hold of; the agent itself where nothing stands here."""
Undone = AbstractContextManager[None]


class Faults:
    """Runs strikes, each on a thread; a target that is already hit is left alone."""

    def __init__(self, farm: ChaosFarm, hosts: dict[str, Host], seed: int) -> None:
        self._farm, self._hosts = farm, hosts
        self._rng = random.Random(seed)
        self._busy: set[str] = set()
        self._lock = threading.Lock()
        self.done: Counter[str] = Counter()
        self.violations: list[str] = []

    def strike(self, strike: Strike) -> None:
        """Cause the fault, hold it, undo it."""
        with self._claimed(_targets(strike)) as is_free:
            if not is_free:
                self.done["skipped: already hit"] += 1
                return
            with self._way_of(strike):
                self.done[strike.fault] += 1
                time.sleep(strike.seconds)

    @contextlib.contextmanager
    def _claimed(self, targets: set[str]) -> Iterator[bool]:
        with self._lock:
            is_free = not self._busy & targets
            if is_free:
                self._busy |= targets
        try:
            yield is_free
        finally:
            if is_free:
                with self._lock:
                    self._busy -= targets

    def _way_of(self, strike: Strike) -> Undone:
        farm, host = self._farm, self._hosts[strike.agent]
        ways: dict[Fault, Callable[[], Undone]] = {
            Fault.AGENT_KILLED: lambda: self._killed(host),
            Fault.AGENT_TERMINATED: lambda: _terminated(host),
            Fault.AGENT_FROZEN: lambda: _frozen(host.agent.popen.pid),
            Fault.CHILD_KILLED: lambda: _killed_process(host.agent.celery_child()),
            Fault.CHILD_FROZEN: lambda: _frozen_process(host.agent.celery_child()),
            Fault.FFMPEG_KILLED: lambda: _killed_process(_any(host.agent.ffmpegs())),
            Fault.FFMPEG_FROZEN: lambda: _frozen_process(_any(host.agent.ffmpegs())),
            Fault.HOST_LOST: lambda: _lost(host),
            Fault.API_CUT: lambda: _hurt(host.to_api, host.to_api.cut),
            Fault.API_SILENT: lambda: _hurt(host.to_api, host.to_api.freeze),
            Fault.ANSWERS_DROPPED: lambda: _hurt(
                host.to_api, lambda: host.to_api.drop_answers(self._rng.randint(1, 5))
            ),
            Fault.BROKER_CUT: lambda: _hurt(host.to_broker, host.to_broker.cut),
            Fault.BROKER_SILENT: lambda: _hurt(host.to_broker, host.to_broker.freeze),
            Fault.FLUSHED: lambda: _said(farm, _flush),
            Fault.GARBAGE: lambda: _said(farm, _litter),
            Fault.REPEATED: lambda: _said(farm, _repeat),
            Fault.BROKER_KILLED: lambda: _without_broker(farm),
            Fault.BROKER_FULL: lambda: _full_broker(farm),
            Fault.BROKER_READ_ONLY: lambda: _read_only_broker(farm),
            Fault.API_KILLED: lambda: _without(farm.api),
            Fault.CONTROL_KILLED: lambda: _without(farm.control),
            Fault.BEAT_KILLED: lambda: _without(farm.beat),
            Fault.MASTER_KILLED: lambda: _without(farm.api, farm.control, farm.beat),
            Fault.SECOND_CONTROL: lambda: _second(farm),
            Fault.DATABASE_LOCKED: lambda: _locked(farm),
        }
        return ways[strike.fault]()

    @contextlib.contextmanager
    def _killed(self, host: Host) -> Iterator[None]:
        family = host.agent.descendants()
        host.agent.kill()
        _, alive = psutil.wait_procs(family, timeout=DEATH_SECONDS)
        if alive:
            self.violations.append(f"{alive} outlived the agent {host.name}")
        yield
        host.restart()


def _targets(strike: Strike) -> set[str]:
    """What the fault takes hold of: one that is held by another is left alone."""
    named = TARGETS.get(strike.fault, ("{agent}",))
    return {name.format(agent=strike.agent) for name in named}


@contextlib.contextmanager
def _terminated(host: Host) -> Iterator[None]:
    host.agent.popen.terminate()
    yield
    host.restart()


@contextlib.contextmanager
def _lost(host: Host) -> Iterator[None]:
    host.be_lost()
    yield
    host.come_back()
    host.restart()


@contextlib.contextmanager
def _hurt(way: Proxy, fault: Callable[[], None]) -> Iterator[None]:
    fault()
    yield
    way.heal()


@contextlib.contextmanager
def _frozen(pid: int) -> Iterator[None]:
    with contextlib.suppress(psutil.Error):
        psutil.Process(pid).suspend()
    yield
    with contextlib.suppress(psutil.Error):
        psutil.Process(pid).resume()


@contextlib.contextmanager
def _frozen_process(process: psutil.Process | None) -> Iterator[None]:
    with contextlib.suppress(psutil.Error):
        if process is not None:
            process.suspend()
    yield
    with contextlib.suppress(psutil.Error):
        if process is not None:
            process.resume()


@contextlib.contextmanager
def _killed_process(process: psutil.Process | None) -> Iterator[None]:
    with contextlib.suppress(psutil.Error):
        if process is not None:
            process.kill()
    yield


@contextlib.contextmanager
def _without(*parts: Part) -> Iterator[None]:
    for part in parts:
        part.kill()
    yield
    for part in parts:
        part.start()


@contextlib.contextmanager
def _without_broker(farm: ChaosFarm) -> Iterator[None]:
    farm.broker.kill()
    yield
    farm.broker.start()


@contextlib.contextmanager
def _full_broker(farm: ChaosFarm) -> Iterator[None]:
    with farm.broker.client() as broker:
        broker.config_set("maxmemory", "1")
    yield
    with farm.broker.client() as broker:
        broker.config_set("maxmemory", "0")


@contextlib.contextmanager
def _read_only_broker(farm: ChaosFarm) -> Iterator[None]:
    with farm.broker.client() as broker:
        broker.replicaof("127.0.0.1", "1")
    yield
    with farm.broker.client() as broker:
        broker.replicaof("NO", "ONE")


@contextlib.contextmanager
def _second(farm: ChaosFarm) -> Iterator[None]:
    parts = [Part(farm.settings, only, farm.folder) for only in ("control", "beat")]
    for part in parts:
        part.start()
    yield
    for part in parts:
        part.kill()


@contextlib.contextmanager
def _locked(farm: ChaosFarm) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(farm.folder / "farm.db", timeout=10)) as database:
        with contextlib.suppress(sqlite3.OperationalError):
            database.execute("BEGIN IMMEDIATE")
        yield
        database.rollback()


@contextlib.contextmanager
def _said(farm: ChaosFarm, what: Callable[[redis.Redis], None]) -> Iterator[None]:
    with contextlib.suppress(redis.RedisError), farm.broker.client() as broker:
        what(broker)
    yield


def _flush(broker: redis.Redis) -> None:
    broker.flushall()


def _litter(broker: redis.Redis) -> None:
    for name in QUEUES:
        broker.lpush(name, *GARBAGE)


def _repeat(broker: redis.Redis) -> None:
    for name in broker.scan_iter("*", _type="list"):
        message = broker.lindex(name, 0)
        if message is not None:
            broker.lpush(name, *[message] * 100)


def _any(processes: list[psutil.Process]) -> psutil.Process | None:
    return next(iter(processes), None)
