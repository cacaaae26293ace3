"""Connections that cost more than they are worth: too many, too slow, or never read.

uvicorn keeps a connection for as long as its client likes. Here one sweep a second looks at all
of them and cuts off what ``overdue`` says.
"""

import asyncio
import json
import logging
import resource
import socket
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import STATUS_PHRASES, H11Protocol
from uvicorn.server import ServerState

from ffrtmp.api.bodies import SLOWEST_BYTES_PER_SECOND
from ffrtmp.api.browsers import HEADERS
from ffrtmp.api.heads import MAX_HEADER_BYTES, MAX_TARGET_BYTES, site_of
from ffrtmp.config.limits import Limits

SWEEP_SECONDS = 1.0
LEFTOVER_SECONDS = 5.0
"""How long a client may go on sending what nobody reads, so that it sees its answer."""
RETRY_SECONDS = 5
TOO_MANY_REQUESTS = 429
HEAD_TOO_LARGE = 431
SEND_BUFFER_BYTES = 256 << 10
FOR_BROWSERS = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
SPARE_DESCRIPTORS = 256
"""Open files that are no connections: database, broker, logs."""
MAX_HEAD_BYTES = MAX_TARGET_BYTES + MAX_HEADER_BYTES + (4 << 10)
NOISE = ("Invalid HTTP request received.", "Unsupported upgrade request.")
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """Since when a connection is in a state that must not last; None where it is not in it.

    ``head``: its request line and headers are not whole. ``leftover``: it was answered and still
    sends its body. ``unread``: it takes next to nothing of what waits for it.
    """

    head_since: float | None = None
    leftover_since: float | None = None
    unread_since: float | None = None


def overdue(standing: Standing, limits: Limits, *, now: float) -> str | None:
    """Why to cut a connection off; None to keep it."""
    checks = (
        ("head", standing.head_since, limits.head_timeout),
        ("leftover", standing.leftover_since, min(LEFTOVER_SECONDS, limits.body_timeout)),
        ("unread", standing.unread_since, limits.write_timeout),
    )
    for reason, since, seconds in checks:
        if since is not None and now - since > seconds:
            return reason
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Unread:
    """How many bytes waited for a client, and since when it has taken too few of them."""

    waiting_bytes: int
    since: float

    def after(self, waiting_bytes: int, *, enough_bytes: float, now: float) -> "Unread | None":
        """As of a later look; None where nothing waits."""
        if waiting_bytes == 0:
            return None
        if waiting_bytes <= self.waiting_bytes - enough_bytes:
            return Unread(waiting_bytes=waiting_bytes, since=now)
        return self


@dataclass(slots=True, kw_only=True)
class Guard:
    """All connections of a server, by where they come from. ``count`` hears why one was not taken
    or was cut off."""

    limits: Limits
    count: Callable[[str], None]
    _open: set["GuardedProtocol"] = field(default_factory=set)
    _of_site: Counter[str] = field(default_factory=Counter)
    _is_sweeping: bool = False

    def admit(self, connection: "GuardedProtocol") -> bool:
        """Count a connection; False where there is no room for it."""
        self._open.add(connection)
        self._of_site[connection.site] += 1
        if not self._is_sweeping:
            self._is_sweeping = True
            connection.loop.call_later(SWEEP_SECONDS, self._sweep, connection.loop)
        return (
            len(self._open) <= self.limits.connections
            and self._of_site[connection.site] <= self.limits.connections_per_address
        )

    def forget(self, connection: "GuardedProtocol") -> None:
        """A connection has ended."""
        if connection in self._open:
            self._open.remove(connection)
            self._of_site[connection.site] -= 1
            if not self._of_site[connection.site]:
                del self._of_site[connection.site]

    def _sweep(self, loop: asyncio.AbstractEventLoop) -> None:
        now = time.monotonic()
        for connection in tuple(self._open):
            reason = overdue(connection.standing(now), self.limits, now=now)
            if reason is not None:
                self.count(reason)
                connection.cut_off(reason)
        self._is_sweeping = bool(self._open)
        if self._is_sweeping:
            loop.call_later(SWEEP_SECONDS, self._sweep, loop)


class GuardedProtocol(H11Protocol):
    """uvicorn's, under a guard."""

    guard: Guard

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.site = ""
        self._head_since: float | None = None
        self._leftover_since: float | None = None
        self._unread: Unread | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take it, or answer 429 to one too many."""
        super().connection_made(transport)
        self.site = site_of(self.client[0]) if self.client else ""
        self._head_since = time.monotonic()
        bounded = transport.get_extra_info("socket")
        if bounded is not None:
            # Else the kernel holds megabytes for a client that never reads.
            bounded.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if not self.guard.admit(self):
            self.guard.count("connections")
            self._answer(429, "too_many_requests", "too many connections; close some")

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget it."""
        self.guard.forget(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read, and note whether a head is under way."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        is_head = self.conn.their_state is h11.IDLE
        self._head_since = (self._head_since or time.monotonic()) if is_head else None

    def resume_writing(self) -> None:
        """The client took much of its answer."""
        self._unread = None
        super().resume_writing()

    def on_response_complete(self) -> None:
        """Go on to the next request, which may have begun already."""
        super().on_response_complete()
        is_begun = self.conn.their_state is h11.IDLE and bool(self.conn.trailing_data[0])
        self._head_since = time.monotonic() if is_begun else None

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP as the farm answers; too long a head is 431."""
        error = sys.exception()
        status = error.error_status_hint if isinstance(error, h11.RemoteProtocolError) else 400
        code = "too_large" if status == HEAD_TOO_LARGE else "malformed"
        self.guard.count(code)
        self._answer(status, code, msg)

    def standing(self, now: float) -> Standing:
        """How it stands now, as far as one look a second can tell."""
        is_answered = self.cycle is not None and self.cycle.response_complete
        is_left = is_answered and self.conn.their_state is h11.SEND_BODY
        self._leftover_since = (self._leftover_since or now) if is_left else None
        waiting_bytes = self.transport.get_write_buffer_size()
        enough_bytes = self.guard.limits.write_timeout * SLOWEST_BYTES_PER_SECOND
        known = self._unread or Unread(waiting_bytes=waiting_bytes, since=now)
        self._unread = known.after(waiting_bytes, enough_bytes=enough_bytes, now=now)
        return Standing(
            head_since=self._head_since,
            leftover_since=self._leftover_since,
            unread_since=self._unread.since if self._unread else None,
        )

    def cut_off(self, reason: str) -> None:
        """End it; whoever is slow with a head is told."""
        if reason == "head" and not self.transport.is_closing():
            self._answer(408, "too_slow", "the request did not come in time")
            self._head_since = None
        else:
            self.transport.abort()

    def _answer(self, status: int, code: str, message: str) -> None:
        """Say this, and nothing of what was to be said else, and hang up."""
        if self.cycle is not None and not self.cycle.response_complete:
            if self.cycle.response_started:
                self.transport.abort()
                return
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        body = json.dumps({"error": {"code": code, "message": message}}).encode()
        phrase = STATUS_PHRASES.get(status, b"").decode()
        retry = f"Retry-After: {RETRY_SECONDS}\r\n" if status == TOO_MANY_REQUESTS else ""
        head = (
            f"HTTP/1.1 {status} {phrase}\r\nContent-Type: application/json\r\n{retry}"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n{FOR_BROWSERS}\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()


def guarded(guard: Guard) -> Mapping[str, Any]:
    """What uvicorn's configuration needs so that this guard watches over its connections."""

    class Guarded(GuardedProtocol):
        pass

    Guarded.guard = guard
    logging.getLogger("uvicorn.error").addFilter(_is_no_noise)
    return {
        "http": Guarded,
        "ws": "none",
        "h11_max_incomplete_event_size": MAX_HEAD_BYTES,
    }


def with_open_files(limits: Limits) -> Limits:
    """Let this process open as many files as its connections need, or as many as the host
    allows; the limits, with no more connections than that."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = limits.connections + SPARE_DESCRIPTORS
    allowed = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < allowed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, hard))
    if allowed == wanted:
        return limits
    fitting = max(1, allowed - SPARE_DESCRIPTORS)
    log.warning("%d open files allow for %d connections only", allowed, fitting)
    return limits.model_copy(update={"connections": fitting})


def _is_no_noise(record: logging.LogRecord) -> bool:
    # A line for each broken request lets anybody fill the log; they are counted.
    return not str(record.msg).startswith(NOISE)
