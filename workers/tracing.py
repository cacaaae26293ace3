"""The agent's spans, and the way a trace travels with a job."""

from collections.abc import Mapping
from contextlib import AbstractContextManager

from opentelemetry.trace import Span

from ffrtmp import telemetry
from ffrtmp.config import Tracing


def span(
    name: str,
    *,
    parent: str | None = None,
    attributes: Mapping[str, str | int] | None = None,
) -> AbstractContextManager[Span]:
    """A span around a block, below the current one; where there is none, below ``parent``, a W3C
    traceparent."""
    is_outermost = telemetry.current_traceparent() is None
    context = telemetry.traced_parent(parent) if parent and is_outermost else None
    return telemetry.span(name, parent=context, attributes=attributes)


def start_tracing(settings: Tracing, *, service_name: str) -> None:
    """Export spans where the settings ask for it."""
    if settings.enabled:
        telemetry.start_tracing(service_name, endpoint=settings.endpoint)
