"""The master's metrics, on a registry of their own; gauges come from the last count, never a scan.

Names are part of the farm's interface; labels never carry ids or paths.
"""

import errno
import functools
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from prometheus_client import CollectorRegistry, Counter, start_http_server
from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from ffrtmp.domain.access import Refusal
from ffrtmp.domain.attempt import Order
from ffrtmp.domain.errors import FarmError
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.node import NodeStatus

REFUSALS = (
    *("too_many_requests", "queue_full", "farm_full", "too_large", "too_slow"),
    *("connections", "malformed", "head", "leftover", "unread"),
)
"""Codes of answers, and why connections are not taken or cut off."""
SCHEDULE_RESULTS = ("success", "no_jobs", "error")
REFUSAL_REASONS = ("size", "form", "encoding", "task", "command", "arguments", "extras", "flood")

Snapshot = Mapping[str, Mapping[str, int]]
"""``{"jobs": {status: count}, "nodes": {status: count}, "messages_refused": {reason: count}}``."""


class PortInUse(Exception):  # noqa: N818
    """Somebody else listens on the port; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MasterMetrics:
    """What an API process counts and shows."""

    registry: CollectorRegistry
    schedule_attempts: Counter
    """Claims by ``result``: success, no_jobs, error."""
    refused: Counter
    """Requests and connections beyond a limit, by ``reason``, one of REFUSALS."""
    auth_failures: Counter
    """Requests that were not let in, by ``reason``, a domain.access.Refusal."""
    orders: Counter
    """Attempts that heartbeats listed, by ``order``; ``gone`` are none of their node's."""


def master_metrics(read_snapshot: Callable[[], Mapping[str, Any]]) -> MasterMetrics:
    """The master's metrics. ``read_snapshot`` is called at every scrape; while it raises a
    FarmError, as when the database is away, the gauges are absent and the scrape works."""
    registry = CollectorRegistry()
    registry.register(_Counted(read_snapshot))
    count = functools.partial(_counter, registry)
    return MasterMetrics(
        registry=registry,
        schedule_attempts=count(
            "schedule_attempts", "Claims of nodes, by what they got", "result", SCHEDULE_RESULTS
        ),
        refused=count("refused", "Requests and connections beyond a limit", "reason", REFUSALS),
        auth_failures=count(
            "auth_failures",
            "Requests without a credential that opens what they ask for",
            "reason",
            Refusal,
        ),
        orders=count("orders", "Attempts in heartbeats, by what was ordered", "order", Order),
    )


def _counter(
    registry: CollectorRegistry, noun: str, what: str, label: str, values: Iterable[str]
) -> Counter:
    # prometheus_client adds ``_total`` to a counter's name.
    counter = Counter(f"ffrtmp_master_{noun}", what, [label], registry=registry)
    for value in values:
        counter.labels(**{label: value})
    return counter


def serve_metrics(port: int, registry: CollectorRegistry, host: str = "127.0.0.1") -> int:
    """Serve ``/metrics`` from a thread; the port, which for 0 is a free one. PortInUse."""
    try:
        server, _ = start_http_server(port, addr=host, registry=registry)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise PortInUse(f"port {port} of {host} for metrics is already in use") from error
        raise
    return int(server.server_port)


class _Counted(Collector):
    """Jobs and nodes by status; a status nobody is in shows as 0, so that alerts can see it."""

    def __init__(self, read_snapshot: Callable[[], Mapping[str, Any]]) -> None:
        self._read_snapshot = read_snapshot

    def describe(self) -> Iterator[Metric]:
        """Nothing: registering must not read the database."""
        return iter(())

    def collect(self) -> Iterator[Metric]:
        """Two gauges, and what control refused."""
        try:
            snapshot: Snapshot = self._read_snapshot()
        except FarmError:
            return
        yield _gauge("jobs", JobStatus, snapshot.get("jobs", {}))
        yield _gauge("nodes", NodeStatus, snapshot.get("nodes", {}))
        yield _refused(snapshot.get("messages_refused", {}))


def _refused(counted: Mapping[str, int]) -> Metric:
    family = CounterMetricFamily(
        "ffrtmp_master_messages_refused",
        "Messages from the broker that control did not take, by why",
        labels=["reason"],
    )
    for reason in REFUSAL_REASONS:
        family.add_metric([reason], counted.get(reason, 0))
    return family


def _gauge(
    noun: str, statuses: type[JobStatus] | type[NodeStatus], counted: Mapping[str, int]
) -> Metric:
    family = GaugeMetricFamily(
        f"ffrtmp_master_{noun}_total", f"{noun.capitalize()} by status", labels=["status"]
    )
    for status in statuses:
        family.add_metric([status.value], counted.get(status.value, 0))
    return family
