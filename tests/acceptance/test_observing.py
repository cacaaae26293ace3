"""Metrics and traces of a real farm, under the names that dashboards rely on."""

import urllib.request
from collections.abc import Callable, Iterator

import psutil
import pytest

from tests.acceptance.farm import RunningFarm
from tests.otlp import Receiver, receiving
from tests.waiting import wait_until

ONE_TRACE = {
    "POST /jobs",
    "apply_async/ffrtmp.hint.v1",
    "run/ffrtmp.hint.v1",
    "Get Next Job",
    "Run Attempt",
    "ffmpeg",
    "Send Job Results",
    "POST /results",
}
ELSEWHERE = {"Register Node", "POST /nodes/register", "Send Heartbeat"}


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def test_one_trace_leads_from_the_submit_through_queue_and_ffmpeg_to_the_result(
    start_farm: Callable[..., RunningFarm], receiver: Receiver
) -> None:
    farm = start_farm("--tracing", "--tracing-endpoint", f"127.0.0.1:{receiver.server_port}")
    job = farm.submit(scenario="test-360p", duration="0.5s", wait=True)
    wait_until(lambda: receiver.spans.keys() >= ONE_TRACE | ELSEWHERE, what="every span")
    followed = {s.name for _, s in receiver.received if s.trace_id.hex() == job["trace_id"]}

    assert followed >= ONE_TRACE
    assert not followed & ELSEWHERE


def test_metrics_of_master_and_agent_have_their_names_and_move(farm: RunningFarm) -> None:
    farm.submit(scenario="test-360p", duration="0.5s", wait=True)

    def master_has_counted() -> dict[str, float] | None:
        found = _scrape(farm, "master")
        return found if found.get('ffrtmp_master_jobs_total{status="completed"}') else None

    master = wait_until(master_has_counted, what="the completed job to be counted")
    agent = _scrape(farm, "agent-1")
    assert master['ffrtmp_master_schedule_attempts_total{result="success"}'] >= 1
    assert master['ffrtmp_master_nodes_total{status="available"}'] == 1
    assert agent["ffrtmp_worker_heartbeats_total"] >= 1
    assert agent["ffrtmp_worker_jobs_active"] == 0


def test_everything_a_farm_listens_on_is_loopback(farm: RunningFarm) -> None:
    listening = {
        connection.laddr.ip
        for process in farm.family.running()
        for connection in process.net_connections(kind="inet")
        if connection.status == psutil.CONN_LISTEN
    }

    assert listening <= {"127.0.0.1", "::1"}
    assert listening


def _scrape(farm: RunningFarm, part: str) -> dict[str, float]:
    with urllib.request.urlopen(farm.facts["metrics_urls"][part], timeout=5) as answer:  # noqa: S310
        lines = answer.read().decode().splitlines()
    return {
        name: float(value)
        for name, _, value in (line.rpartition(" ") for line in lines if line[:1] != "#")
    }
