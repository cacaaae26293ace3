"""A Celery child for each pool of slots, over a real broker."""

import contextlib
import json
import os
import subprocess
import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ffrtmp.broker import embedded
from ffrtmp.broker.publisher import RedisBell
from ffrtmp.domain.hint import Hint
from ffrtmp.domain.ranking import Queue
from tests.waiting import wait_until
from workers.child import CHILD_VARIABLE, ChildSettings
from workers.hints import HintListeners, Hints
from workers.pools import Pool, queue_names
from workers.socket_server import HintLine, SocketServer

NODE = "777a4c21-8691-47bc-bd68-cdfd0f43a4d5"
POOLS = (Pool.CPU, Pool.GPU)
PATIENCE_SECONDS = 3.0


def job_of(queue: str) -> str:
    """The job that is rung for on this queue."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, queue))


class Ears:
    """An agent's socket, and a child each for the CPU and the GPUs."""

    def __init__(self, folder: Path, broker_url: str) -> None:
        self.broker_url = broker_url
        self.heard: list[HintLine] = []
        self.socket = SocketServer(
            folder, take_hint=lambda line, _: self.heard.append(line), on_dropped=lambda _: None
        )
        self.hints = Hints(
            [self._settings(pool) for pool in POOLS],
            broker_url=broker_url,
            node_id=NODE,
            socket=self.socket,
            consumer_timeout_seconds=PATIENCE_SECONDS,
            listeners=HintListeners(on_nudge=lambda: None, on_restart=lambda: None),
        )

    def ring(self, queue: str) -> None:
        with contextlib.closing(RedisBell(self.broker_url, window=10_000)) as bell:
            assert bell.ring(Hint(job_id=job_of(queue), rank=0, queue_name=queue))

    def of(self, pool: Pool) -> list[str]:
        return [line.job_id for line in tuple(self.heard) if line.pool is pool]

    def child_of(self, pool: Pool) -> psutil.Process | None:
        for process in psutil.Process().children():
            with contextlib.suppress(psutil.Error, KeyError):
                if json.loads(process.environ()[CHILD_VARIABLE])["pool"] == pool:
                    return process
        return None

    def _settings(self, pool: Pool) -> ChildSettings:
        return ChildSettings(
            broker_url=self.broker_url,
            pool=pool,
            queue_names=queue_names(pool, node_id=NODE, queues=tuple(Queue), pools=POOLS),
            concurrency=1,
            node_name="one",
            socket_path=self.socket.path,
            parent_pid=os.getpid(),
        )


@pytest.fixture
def ears(tmp_path: Path) -> Iterator[Ears]:
    stop = threading.Event()
    prepared = embedded.prepare(tmp_path / "broker")
    broker = subprocess.Popen(prepared.argv, stdout=subprocess.DEVNULL)
    embedded.wait_until_ready(prepared.url, timeout_seconds=10)
    made = Ears(tmp_path, prepared.url)
    loops = [made.socket.run, *(loop for _, loop in (*made.hints.loops, *made.hints.child_loops))]
    threads = [threading.Thread(target=loop, args=(stop,), daemon=True) for loop in loops]
    for thread in threads:
        thread.start()
    yield made
    stop.set()
    for thread in threads:
        thread.join(10)
    made.hints.close()
    made.socket.close()
    broker.kill()
    broker.wait()
    assert made.child_of(Pool.CPU) is None


def arrive(ears: Ears, *pools: Pool) -> Callable[[], bool]:
    return lambda: all(ears.hints.arrive(pool) for pool in pools)


def test_hint_is_brought_by_the_child_of_the_pool_it_is_for(ears: Ears) -> None:
    for queue in ("default", "live.gpu", f"node.{NODE}", f"node.{NODE}.gpu"):
        ears.ring(queue)

    wait_until(lambda: len(ears.heard) == 4)

    assert set(ears.of(Pool.CPU)) == {job_of("default"), job_of(f"node.{NODE}")}
    assert set(ears.of(Pool.GPU)) == {job_of("live.gpu"), job_of(f"node.{NODE}.gpu")}


def test_pool_that_wants_no_hints_leaves_them_in_the_broker_while_the_other_takes_its_own(
    ears: Ears,
) -> None:
    wait_until(arrive(ears, *POOLS))

    ears.hints.want([Pool.CPU])
    wait_until(lambda: ears.child_of(Pool.GPU) is None)
    ears.ring("live.gpu")
    ears.ring("live")
    wait_until(lambda: ears.of(Pool.CPU))

    wait_until(lambda: ears.hints.all_arrive)
    assert not ears.hints.arrive(Pool.GPU)
    assert ears.of(Pool.GPU) == []
    ears.hints.want(POOLS)
    wait_until(lambda: ears.of(Pool.GPU) == [job_of("live.gpu")])


def test_child_that_stands_still_is_replaced_although_another_takes_hints(ears: Ears) -> None:
    ears.ring("live.gpu")
    wait_until(lambda: ears.of(Pool.GPU))
    child = ears.child_of(Pool.GPU)
    assert child is not None
    child.suspend()

    def goes_on() -> bool:
        # Again and again, as the master does: a child that is killed takes with it what it has.
        ears.ring("live")
        ears.ring("default.gpu")
        return job_of("default.gpu") in ears.of(Pool.GPU)

    wait_until(goes_on)

    assert ears.hints.child_faults >= 1
    assert ears.of(Pool.CPU)
