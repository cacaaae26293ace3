"""Spans reach a real OTLP/HTTP receiver, metrics a scrape; one that is away costs nothing."""

import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator

import pytest

from ffrtmp import telemetry
from ffrtmp.domain.errors import Unavailable
from ffrtmp.metrics import PortInUse, master_metrics, serve_metrics
from tests.otlp import Receiver, receiving

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACED = f"""
import sys
from ffrtmp import telemetry
assert not any(name.startswith("opentelemetry.sdk") for name in sys.modules)
telemetry.start_tracing("a-test", endpoint=sys.argv[1])
for _ in range(int(sys.argv[2])):
    with telemetry.span("Outer", parent=telemetry.traced_parent({TRACEPARENT!r})):
        with telemetry.span("Inner", attributes={{"n": 1}}):
            print(telemetry.current_traceparent())
"""


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as server:
        yield server


def run_traced(endpoint: str, *, spans: int = 1) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-c", TRACED, endpoint, str(spans)]
    return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)


def test_spans_of_one_trace_arrive_before_the_process_has_ended(receiver: Receiver) -> None:
    ended = run_traced(f"127.0.0.1:{receiver.server_port}")
    outer, inner = receiver.spans["Outer"], receiver.spans["Inner"]

    assert receiver.services == {"a-test"}
    assert outer.trace_id == inner.trace_id == bytes.fromhex(TRACEPARENT.split("-")[1])
    assert outer.parent_span_id.hex() == TRACEPARENT.split("-")[2]
    assert inner.parent_span_id == outer.span_id
    assert ended.stdout.strip().split("-")[2] == inner.span_id.hex()


def test_a_receiver_that_is_away_neither_blocks_the_exit_nor_fills_the_log() -> None:
    began = time.monotonic()
    ended = run_traced("127.0.0.1:9", spans=2000)

    assert time.monotonic() - began < 8
    assert len(ended.stderr.splitlines()) <= 1, ended.stderr


@pytest.mark.parametrize(
    ("endpoint", "url"),
    [
        ("localhost:4318", "http://localhost:4318/v1/traces"),
        ("https://tempo/", "https://tempo/v1/traces"),
        ("http://tempo/v1/traces", "http://tempo/v1/traces"),
    ],
)
def test_an_endpoint_is_a_host_and_port_or_a_url(endpoint: str, url: str) -> None:
    assert telemetry.traces_url(endpoint) == url


def test_while_tracing_is_off_there_is_no_traceparent() -> None:
    with telemetry.span("Nothing"):
        assert telemetry.current_traceparent() is None


@pytest.mark.parametrize("garbage", [None, "", "00-xyz", "x" * 10_000])
def test_a_traceparent_that_is_none_begins_no_trace(garbage: str | None) -> None:
    assert telemetry.traced_parent(garbage) == {}


def scrape(port: int) -> str:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=5) as answer:
        return str(answer.read().decode())


def test_a_scrape_shows_the_last_count_under_the_names_others_depend_on() -> None:
    metrics = master_metrics(lambda: {"jobs": {"running": 3}, "nodes": {"busy": 2}})
    metrics.schedule_attempts.labels(result="success").inc()
    shown = scrape(serve_metrics(0, metrics.registry)).splitlines()

    assert 'ffrtmp_master_schedule_attempts_total{result="success"} 1.0' in shown
    assert 'ffrtmp_master_schedule_attempts_total{result="no_jobs"} 0.0' in shown
    assert 'ffrtmp_master_jobs_total{status="running"} 3.0' in shown
    assert 'ffrtmp_master_jobs_total{status="failed"} 0.0' in shown
    assert 'ffrtmp_master_nodes_total{status="busy"} 2.0' in shown


def test_a_scrape_while_the_database_is_away_still_shows_the_counters() -> None:
    def away() -> dict[str, dict[str, int]]:
        raise Unavailable("the database does not answer")

    shown = scrape(serve_metrics(0, master_metrics(away).registry))

    assert "ffrtmp_master_schedule_attempts_total" in shown
    assert "ffrtmp_master_jobs_total" not in shown


def test_a_metrics_port_in_use_is_said_by_its_number() -> None:
    registry = master_metrics(dict).registry
    port = serve_metrics(0, registry)

    with pytest.raises(PortInUse, match=str(port)):
        serve_metrics(port, registry)
