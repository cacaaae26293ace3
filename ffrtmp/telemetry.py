"""Traces over OTLP/HTTP, off until started: before that spans are no-ops and no SDK is imported.

A trace travels as a W3C ``traceparent``: in HTTP headers, in Celery headers, and in the job's row
between submit and claim.
"""

import atexit
import logging
import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import Span, SpanKind
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

TRACER = "ffrtmp"
EXPORT_TIMEOUT_SECONDS = 3.0
EXPORT_EVERY_SECONDS = 2.0
FLUSH_SECONDS = 3.0
_TRACEPARENT = "traceparent"

_propagator = TraceContextTextMapPropagator()
_started = threading.Lock()


def start_tracing(service_name: str, *, endpoint: str) -> None:
    """Export this process's spans to ``endpoint``, ``host:port`` or a URL; only once a process.

    Spans leave from a thread; what an unreachable endpoint cannot take is dropped, with one line
    in the log. The rest goes out at exit, which waits at most three seconds for it.
    """
    if not _started.acquire(blocking=False):
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    _quieten("opentelemetry.exporter.otlp.proto.http", "opentelemetry.sdk", "urllib3")
    provider = TracerProvider(
        resource=Resource.create({"service.name": service_name}), shutdown_on_exit=False
    )
    exporter = OTLPSpanExporter(endpoint=traces_url(endpoint), timeout=EXPORT_TIMEOUT_SECONDS)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, schedule_delay_millis=EXPORT_EVERY_SECONDS * 1000)
    )
    trace.set_tracer_provider(provider)
    atexit.register(_within, FLUSH_SECONDS, provider.shutdown)


def instrument_celery() -> None:
    """Carry the trace through Celery messages, for apps made before and after this call."""
    from opentelemetry.instrumentation.celery import CeleryInstrumentor

    CeleryInstrumentor().instrument()  # type: ignore[no-untyped-call]


def traces_url(endpoint: str) -> str:
    """Where OTLP/HTTP takes traces: ``host:port`` and ``http://host:port`` get ``/v1/traces``."""
    base = (endpoint if "://" in endpoint else f"http://{endpoint}").rstrip("/")
    return base if base.endswith("/v1/traces") else f"{base}/v1/traces"


def span(
    name: str,
    *,
    parent: Context | None = None,
    kind: SpanKind = SpanKind.INTERNAL,
    attributes: Mapping[str, str | int | float | bool] | None = None,
) -> AbstractContextManager[Span]:
    """A span around a block; an exception marks it. No parent continues the current trace."""
    return trace.get_tracer(TRACER).start_as_current_span(
        name, context=parent, kind=kind, attributes=attributes
    )


def traced_parent(traceparent: str | None) -> Context:
    """The context a ``traceparent`` names; what is not one names an empty context."""
    return _propagator.extract({_TRACEPARENT: traceparent} if traceparent else {}, Context())


def current_traceparent() -> str | None:
    """The ``traceparent`` of the current span; None outside of any trace."""
    carrier: dict[str, str] = {}
    _propagator.inject(carrier)
    return carrier.get(_TRACEPARENT)


class _FirstOnly(logging.Filter):
    """Lets one record pass, then none: a collector that is away is no news every two seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._has_passed = False

    def filter(self, record: logging.LogRecord) -> bool:
        if self._has_passed:
            return False
        self._has_passed = True
        record.exc_info = None
        return True


def _quieten(*names: str) -> None:
    first_only = _FirstOnly()
    # A filter works only on the logger a record is made by, so every child gets it too.
    known = [name for name in logging.root.manager.loggerDict if name.startswith(names)]
    for name in {*names, *known}:
        logging.getLogger(name).addFilter(first_only)


def _within(seconds: float, act: Callable[[], None]) -> None:
    thread = threading.Thread(target=act, name="flush traces", daemon=True)
    thread.start()
    thread.join(seconds)
