"""The agent's ends of the broker: nudges, and the Celery child with its socket."""

import contextlib
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import pytest
import redis

from ffrtmp.broker import embedded
from ffrtmp.broker.app import node_app
from ffrtmp.broker.messages import HINT_TASK, nudge_channel
from ffrtmp.broker.publisher import RedisBell
from ffrtmp.domain.hint import Hint
from tests.waiting import wait_until
from workers.child import Child, ChildSettings
from workers.nudge import NudgeListener
from workers.pools import Pool
from workers.socket_server import HintLine, SocketServer
from workers.tasks import hand_to_agent, register_hint_task

T = TypeVar("T")
NODE = "777a4c21-8691-47bc-bd68-cdfd0f43a4d5"
JOB = "01a20bea-0350-738b-86d6-ca837b256b05"


class Broker:
    """A real valkey that keeps its port over a restart."""

    def __init__(self, folder: Path) -> None:
        self._prepared = embedded.prepare(folder)
        self.url = self._prepared.url
        self.start()

    def start(self) -> None:
        self._process = subprocess.Popen(self._prepared.argv, stdout=subprocess.DEVNULL)
        embedded.wait_until_ready(self.url, timeout_seconds=10)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()

    def nudge(self) -> int:
        with redis.Redis.from_url(self.url) as client:
            return int(client.publish(nudge_channel(NODE), ""))


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Broker]:
    running = Broker(tmp_path / "broker")
    yield running
    running.stop()


@pytest.fixture
def run_in_thread() -> Iterator[Callable[[Callable[[threading.Event], None]], None]]:
    """Run a loop until the test ends, and see that it ends with it."""
    stop, threads = threading.Event(), []

    def run(loop: Callable[[threading.Event], None]) -> None:
        threads.append(threading.Thread(target=loop, args=(stop,), daemon=True))
        threads[-1].start()

    yield run
    stop.set()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


Run = Callable[[Callable[[threading.Event], None]], None]


def test_nudge_is_heard_again_after_the_broker_was_away(broker: Broker, run_in_thread: Run) -> None:
    nudges: list[float] = []
    back: list[float] = []
    listener = NudgeListener(
        broker_url=broker.url,
        node_id=NODE,
        on_nudge=lambda: nudges.append(time.monotonic()),
        on_back=back.append,
    )
    run_in_thread(listener.run)
    wait_until(lambda: listener.is_connected)
    on_connect = len(nudges)
    broker.nudge()
    wait_until(lambda: len(nudges) > on_connect)

    broker.stop()
    wait_until(lambda: not listener.is_connected)
    broker.start()
    wait_until(lambda: listener.is_connected, seconds=6)
    heard = len(nudges)
    broker.nudge()

    wait_until(lambda: len(nudges) > heard)
    assert len(back) == 2


class Ear:
    """An agent's socket that keeps every hint until it is told to let go."""

    def __init__(self, folder: Path) -> None:
        self.hints: list[HintLine] = []
        self.hung_up: list[HintLine] = []
        self.let_go = threading.Event()
        self.dropped: list[int] = []
        self.server = SocketServer(folder, take_hint=self._take, on_dropped=self.dropped.append)

    def _take(self, line: HintLine, is_wanted: Callable[[], bool]) -> None:
        self.hints.append(line)
        while not self.let_go.wait(0.02):
            if not is_wanted():
                self.hung_up.append(line)
                return


@pytest.fixture
def ear(tmp_path: Path, run_in_thread: Run) -> Iterator[Ear]:
    made = Ear(tmp_path)
    run_in_thread(made.server.run)
    yield made
    made.let_go.set()
    made.server.close()


def child_of(broker: Broker, ear: Ear, *, on_restart: Callable[[], None] = lambda: None) -> Child:
    settings = ChildSettings(
        broker_url=broker.url,
        pool=Pool.CPU,
        queue_names=(f"node.{NODE}", "live", "default", "batch"),
        concurrency=2,
        node_name="one",
        socket_path=ear.server.path,
        parent_pid=os.getpid(),
    )
    return Child(settings, on_restart=on_restart)


def ring(broker: Broker, queue: str, rank: int) -> None:
    with contextlib.closing(RedisBell(broker.url, window=100)) as bell:
        assert bell.ring(Hint(job_id=JOB, rank=rank, queue_name=queue))


def test_child_hands_in_as_many_hints_as_there_are_slots_and_no_more(
    broker: Broker, ear: Ear, run_in_thread: Run
) -> None:
    run_in_thread(child_of(broker, ear).run)
    for _ in range(4):
        ring(broker, "default", 4)

    wait_until(lambda: len(ear.hints) == 2)
    time.sleep(0.5)  # a third one would have come by now

    assert ear.hints == [HintLine(job_id=JOB, rank=4, pool=Pool.CPU)] * 2
    ear.let_go.set()
    wait_until(lambda: len(ear.hints) == 4)


def test_garbage_in_a_queue_costs_a_restart_at_most_and_the_next_hint_arrives(
    broker: Broker, ear: Ear, run_in_thread: Run
) -> None:
    run_in_thread(child_of(broker, ear).run)
    ring(broker, "live", 0)
    wait_until(lambda: ear.hints)
    with redis.Redis.from_url(broker.url) as client:
        for rubbish in (b"", b"\x80\x02", b"[" * 100_000):
            client.lpush("live", rubbish)

    ring(broker, "default", 4)

    wait_until(lambda: HintLine(job_id=JOB, rank=4, pool=Pool.CPU) in ear.hints, seconds=30)


def test_task_body_without_memory_ends_as_if_done(
    broker: Broker, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr("workers.tasks.tell_agent", no_memory)
    app = node_app(broker.url, queue_names=["live"], concurrency=1)
    register_hint_task(app, tmp_path / "agent.sock", pool=Pool.CPU)

    app.tasks[HINT_TASK](v=1, job_id=JOB, rank=4)


def test_hint_of_a_child_that_dies_is_no_longer_wanted(
    broker: Broker, ear: Ear, run_in_thread: Run
) -> None:
    restarts: list[bool] = []
    child = child_of(broker, ear, on_restart=lambda: restarts.append(True))
    run_in_thread(child.run)
    ring(broker, "batch", 8)
    wait_until(lambda: ear.hints)

    child.restart()

    wait_until(lambda: ear.hung_up, seconds=3)
    wait_until(lambda: child.is_running and restarts)


def test_child_that_is_not_wanted_ends_and_comes_back_when_it_is(
    broker: Broker, ear: Ear, run_in_thread: Run
) -> None:
    child = child_of(broker, ear)
    run_in_thread(child.run)
    wait_until(lambda: child.is_running)

    child.want(False)
    wait_until(lambda: not child.is_running)
    child.want(True)

    wait_until(lambda: child.is_running)


def test_socket_of_a_deep_state_folder_is_heard_and_leaves_nothing_behind(
    tmp_path: Path, run_in_thread: Run
) -> None:
    deep = tmp_path / ("d" * 100)
    deep.mkdir()
    ear = Ear(deep)
    run_in_thread(ear.server.run)
    ear.let_go.set()

    hand_to_agent(Hint(job_id=JOB, rank=4, queue_name=""), ear.server.path, pool=Pool.CPU)
    ear.server.close()

    assert ear.hints == [HintLine(job_id=JOB, rank=4, pool=Pool.CPU)]
    assert list(deep.iterdir()) == []
