"""A broker that answers, but refuses: full, read-only, unable to save, or too strict."""

import contextlib
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil
import pytest

from ffrtmp.domain.job import JobStatus
from tests.chaos.farm import Broker, ChaosFarm
from tests.waiting import wait_until

NEVER = 3600
RESUMED_SECONDS = 10
MOST_LINES = 200
BIG_BYTES = 1 << 20

Refusing = Callable[[Broker, Any], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def full(_broker: Broker, client: Any) -> Iterator[None]:
    client.config_set("maxmemory", "1")
    yield
    client.config_set("maxmemory", "0")


@contextlib.contextmanager
def read_only(_broker: Broker, client: Any) -> Iterator[None]:
    client.replicaof("127.0.0.1", "1")
    yield
    client.replicaof("NO", "ONE")


@contextlib.contextmanager
def unable_to_save(broker: Broker, client: Any) -> Iterator[None]:
    client.set("ballast", b"\0" * BIG_BYTES)
    client.config_set("rdbcompression", "no")
    client.config_set("save", "3600 1")
    server = broker.server()
    limit = server.rlimit(psutil.RLIMIT_FSIZE)
    server.rlimit(psutil.RLIMIT_FSIZE, (BIG_BYTES // 2, limit[1]))
    client.bgsave()
    wait_until(lambda: not saved(client), what="a snapshot to fail")
    yield
    server.rlimit(psutil.RLIMIT_FSIZE, limit)
    client.bgsave()
    wait_until(lambda: saved(client), what="a snapshot to succeed")


def saved(client: Any) -> bool:
    return bool(client.info("persistence")["rdb_last_bgsave_status"] == "ok")


@contextlib.contextmanager
def too_strict(_broker: Broker, client: Any) -> Iterator[None]:
    client.execute_command("ACL", "SETUSER", "default", "-@write")
    yield
    client.execute_command("ACL", "SETUSER", "default", "+@all")


@pytest.mark.parametrize("refusing", [full, read_only, unable_to_save, too_strict])
@pytest.mark.parametrize("seconds", [3, pytest.param(30, marks=pytest.mark.slow)])
def test_no_worker_ends_and_hints_are_taken_soon_after_the_broker_is_mended(
    farm: ChaosFarm, refusing: Refusing, seconds: int
) -> None:
    agent = farm.start_agent("one", poll_interval=NEVER)
    farm.wait_for_listeners(1)
    child = agent.celery_child()
    with farm.broker.client() as client, refusing(farm.broker, client):
        began = time.monotonic()
        job = farm.submit()
        wait_until(lambda: time.monotonic() - began > seconds, seconds=seconds + 5)
    mended_at = time.monotonic()

    farm.wait_for(job, JobStatus.COMPLETED)

    assert time.monotonic() - mended_at < RESUMED_SECONDS
    assert agent.celery_child() == child
    for part in (farm.control, farm.beat, farm.api):
        assert part.process is not None
        assert part.process.popen.poll() is None
    said = "".join(path.read_text() for path in farm.folder.glob("beat-*.log"))
    assert "Traceback" not in said
    assert len(said.splitlines()) < MOST_LINES
