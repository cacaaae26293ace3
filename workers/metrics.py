"""What the agent counts, served on a port of its own."""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, start_http_server


class Metrics:
    """The agent's counters and gauges, in a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.heartbeats = Counter(
            "ffrtmp_worker_heartbeats_total", "Heartbeats answered.", registry=self.registry
        )
        self.attempts = Counter(
            "ffrtmp_worker_attempts_total",
            "Attempts by how they ended here.",
            ["outcome"],
            registry=self.registry,
        )
        self.hints = Counter(
            "ffrtmp_worker_hints_total",
            "Messages from the broker by what became of them.",
            ["outcome"],
            registry=self.registry,
        )
        self.child_restarts = Counter(
            "ffrtmp_worker_child_restarts_total",
            "Times the Celery child ended and was started again.",
            registry=self.registry,
        )

    def observe(
        self,
        *,
        jobs_active: Callable[[], float],
        slots: Callable[[], float],
        slots_lost: Callable[[], float],
        undelivered: Callable[[], float],
        child_faults: Callable[[], float],
        takes_hints: Callable[[], float],
    ) -> None:
        """Read these whenever somebody scrapes."""
        gauges = {
            "ffrtmp_worker_jobs_active": ("Attempts running now.", jobs_active),
            "ffrtmp_worker_slots": ("Attempts this node runs at once.", slots),
            "ffrtmp_worker_slots_lost": (
                "Slots written off: their attempts cannot be ended.",
                slots_lost,
            ),
            "ffrtmp_worker_undelivered": ("Finished attempts not yet reported.", undelivered),
            "ffrtmp_worker_child_faults": (
                "Times in the last ten minutes that the Celery child ended unasked or was stuck.",
                child_faults,
            ),
            "ffrtmp_worker_takes_hints": ("1 while the Celery child takes hints.", takes_hints),
        }
        for name, (text, reading) in gauges.items():
            Gauge(name, text, registry=self.registry).set_function(reading)


def serve_metrics(metrics: Metrics, port: int) -> tuple[int, Callable[[], None]]:
    """Serve /metrics on loopback; the port (a free one for 0) and what ends it."""
    server, _thread = start_http_server(port, addr="127.0.0.1", registry=metrics.registry)

    def close() -> None:
        server.shutdown()
        server.server_close()

    return server.server_port, close
