"""A real Celery worker with the node's settings takes hints in rank order, through garbage."""

import json
import logging
import random
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from ffrtmp.broker.embedded import EmbeddedBroker
from ffrtmp.broker.publisher import RedisBell
from ffrtmp.domain.hint import Hint
from ffrtmp.domain.ranking import RANKS, Queue
from ffrtmp.supervisor import Part, Supervisor
from tests.integration.valkey import client_of, valkey
from tests.waiting import wait_until

WORKER = """
import os, pathlib, sys, time
from ffrtmp.broker.app import node_app
from ffrtmp.broker.messages import HINT_TASK, hint_from_kwargs

url, out, gate = sys.argv[1:]
app = node_app(url, queue_names=("live", "default", "batch"), concurrency=1)

@app.task(name=HINT_TASK)
def hint(**kwargs):
    found = hint_from_kwargs(kwargs, queue_name="")
    with open(out, "a") as file:
        print(found.rank if found else "-", found.job_id if found else "-", file=file)
    while not pathlib.Path(gate).exists():
        time.sleep(0.01)

worker = app.Worker(without_gossip=True, without_mingle=True, loglevel="WARNING", quiet=True)
worker.start()
"""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmbeddedBroker]:
    with valkey(tmp_path) as broker:
        yield broker


@pytest.fixture
def bell(server: EmbeddedBroker) -> Iterator[RedisBell]:
    bell = RedisBell(server.url, window=1000)
    yield bell
    bell.close()


def worker_argv(server: EmbeddedBroker, folder: Path) -> list[str]:
    return [sys.executable, "-c", WORKER, server.url, str(folder / "taken"), str(folder / "gate")]


@contextmanager
def worker(server: EmbeddedBroker, folder: Path) -> Iterator[None]:
    with subprocess.Popen(worker_argv(server, folder)) as process:
        try:
            yield
        finally:
            process.kill()


def taken(folder: Path) -> list[tuple[str, str]]:
    file = folder / "taken"
    lines = file.read_text().splitlines() if file.exists() else []
    return [(rank, job_id) for rank, job_id in (line.split() for line in lines)]


def hint(rank: int) -> Hint:
    queue = list(Queue)[rank // 3]
    return Hint(job_id=str(uuid.uuid4()), rank=rank, queue_name=str(queue))


def test_ninety_shuffled_hints_are_taken_in_rank_order_and_fifo_within_a_rank(
    server: EmbeddedBroker, bell: RedisBell, tmp_path: Path
) -> None:
    hints = [hint(rank) for rank in RANKS for _ in range(10)]
    random.Random(7).shuffle(hints)
    (tmp_path / "gate").touch()
    for one in hints:
        assert bell.ring(one)
    with worker(server, tmp_path):
        wait_until(lambda: len(taken(tmp_path)) == len(hints))

    in_order = sorted(hints, key=lambda one: one.rank)
    assert [job_id for _, job_id in taken(tmp_path)] == [one.job_id for one in in_order]


def test_a_busy_worker_holds_nothing_back_from_a_better_hint_that_comes_later(
    server: EmbeddedBroker, bell: RedisBell, tmp_path: Path
) -> None:
    for _ in range(5):
        bell.ring(hint(8))
    with worker(server, tmp_path):
        wait_until(lambda: len(taken(tmp_path)) == 1)
        assert bell.waiting("batch") == 4
        bell.ring(hint(0))
        (tmp_path / "gate").touch()
        wait_until(lambda: len(taken(tmp_path)) == 6)

    assert [rank for rank, _ in taken(tmp_path)] == ["8", "0", "8", "8", "8", "8"]


def test_garbage_in_the_queues_keeps_a_supervised_worker_from_nothing(
    server: EmbeddedBroker, bell: RedisBell, tmp_path: Path
) -> None:
    (tmp_path / "gate").touch()
    envelope = {"properties": {"delivery_tag": "x"}, "headers": {}}
    foreign = {**envelope, "headers": {"task": "os.system", "id": "1"}}
    with client_of(server) as redis:
        redis.lpush("live", "not json", json.dumps(envelope), json.dumps(foreign), "[]")
    part = Part(name="worker", argv=worker_argv(server, tmp_path), environment={})
    stop = threading.Event()
    with Supervisor([part], logging.getLogger("test"), log_directory=tmp_path) as supervisor:
        supervisor.start(stop)
        wait_until(lambda: bool(supervisor.pids()))
        bell.ring(hint(5))
        watch = threading.Thread(target=_set_when_taken, args=(tmp_path, stop))
        watch.start()
        supervisor.run(stop)
        watch.join()

    assert [rank for rank, _ in taken(tmp_path)] == ["5"]


def _set_when_taken(folder: Path, stop: threading.Event) -> None:
    try:
        wait_until(lambda: bool(taken(folder)), seconds=60)
    finally:
        stop.set()
