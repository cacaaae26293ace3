"""Clocks that are wrong, clocks that step, and a processor that has no time."""

import importlib.util
import multiprocessing
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import JobStatus
from tests.chaos.conftest import MakeFarm
from tests.chaos.farm import ChaosFarm
from tests.integration.agents import AgentProcess
from tests.waiting import wait_until

HOUR = 3600.0
STEP_SECONDS = 600
BURNERS_PER_CORE = 3
STARVED_SECONDS = 25.0
PACE = {"scenario": "360p30-h264", "parameters": {"duration": 3600}}


@contextmanager
def faked_time(**how: str) -> Iterator[None]:
    """Processes started meanwhile see the time that libfaketime is told; durations stay true."""
    found = importlib.util.find_spec("libfaketime")
    assert found is not None
    assert found.origin is not None
    library = Path(found.origin).parent / "vendor/libfaketime/src/libfaketime.so.1"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LD_PRELOAD", str(library))
        patch.setenv("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        for name, value in how.items():
            patch.setenv(name, value)
        yield


def nobody_was_lost(farm: ChaosFarm) -> bool:
    with farm.store() as store, store.read() as tx:
        kinds = [event.kind for event in tx.events.after(0, limit=1_000_000)]
    return not {EventKind.NODE_OFFLINE, EventKind.JOB_RETRY_SCHEDULED} & set(kinds)


def said_by_api(farm: ChaosFarm) -> str:
    return "".join(path.read_text() for path in farm.folder.glob("api-*.log"))


@pytest.mark.parametrize("ahead_seconds", [HOUR, pytest.param(-HOUR, marks=pytest.mark.slow)])
def test_a_node_an_hour_ahead_or_behind_works_and_is_reported_once(
    make_farm: MakeFarm, ahead_seconds: float
) -> None:
    """The master's clock is the one that is faked: libfaketime holds a lock of its own around
    thread waits, and a child that an agent forks meanwhile never gets it."""
    with faked_time(FAKETIME=f"{-ahead_seconds:+.0f}"):
        farm = make_farm(node_timeout=4)
    farm.start_agent("wrong").ready()
    for job in [farm.submit() for _ in range(3)]:
        assert farm.wait_for(job, JobStatus.COMPLETED).attempt == 1
    wait_until(lambda: farm.client.node("wrong").clock_skew_seconds != 0, what="its skew")
    farm.let_time_pass(1.5 * farm.settings.node_timeout)
    node = farm.client.node("wrong")

    assert node.clock_skew_seconds == pytest.approx(ahead_seconds, abs=5)
    assert node.status == "available"
    assert said_by_api(farm).count("the clock of node wrong") == 1
    assert nobody_was_lost(farm)


def test_a_node_with_the_right_clock_is_not_reported(farm: ChaosFarm) -> None:
    farm.start_agent("right").ready()
    farm.let_time_pass(3)

    assert abs(farm.client.node("right").clock_skew_seconds) < 1
    assert "the clock of node" not in said_by_api(farm)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_steps_of_the_masters_clock_lose_no_node_and_no_attempt(
    make_farm: MakeFarm, tmp_path: Path
) -> None:
    clock = tmp_path / "clock"
    clock.write_text("+0")
    with faked_time(FAKETIME_TIMESTAMP_FILE=str(clock), FAKETIME_CACHE_DURATION="1"):
        farm = make_farm()
    agent = farm.start_agent("steady", slots=2).ready()
    encode = farm.client.submit(PACE)
    wait_until(agent.ffmpegs, what="an ffmpeg")
    for offset in (STEP_SECONDS, 0, -STEP_SECONDS, 0):
        clock.write_text(f"{offset:+d}")
        farm.let_time_pass(3)
        assert farm.wait_for(farm.submit(), JobStatus.COMPLETED).attempt == 1
    seen = farm.client.job(encode.id)

    assert (seen.status, seen.attempt) == (JobStatus.RUNNING, 1)
    assert nobody_was_lost(farm)
    farm.client.cancel(encode.id)


def burn() -> None:
    while True:
        pass


@contextmanager
def starved(agent: AgentProcess) -> Iterator[None]:
    """The agent and all it started yield to burners on every core."""
    agent_pid = agent.popen.pid
    for process in (psutil.Process(agent_pid), *agent.descendants()):
        process.nice(19)
    context = multiprocessing.get_context("fork")
    burners = [
        context.Process(target=burn, daemon=True)
        for _ in range(BURNERS_PER_CORE * (os.cpu_count() or 1))
    ]
    for burner in burners:
        burner.start()
    try:
        yield
    finally:
        for burner in burners:
            burner.kill()
            burner.join()


@pytest.mark.slow
def test_a_starved_node_is_not_declared_offline(make_farm: MakeFarm) -> None:
    farm = make_farm(node_timeout=15)
    agent = farm.start_agent("starved").ready()
    encode = farm.client.submit(PACE)
    wait_until(agent.ffmpegs, what="an ffmpeg")
    with starved(agent):
        farm.let_time_pass(STARVED_SECONDS)
    seen = farm.client.job(encode.id)

    assert (seen.status, seen.attempt) == (JobStatus.RUNNING, 1)
    assert nobody_was_lost(farm)
    farm.client.cancel(encode.id)
