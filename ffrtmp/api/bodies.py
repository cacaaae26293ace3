"""Bodies as bytes: no larger than their route has use for, and no slower than a bad line is."""

import asyncio
import time
from collections.abc import Callable
from typing import TypeVar

from fastapi import Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ffrtmp.domain.errors import TooLarge, TooSlow

KIB = 1 << 10
SMALL_BODY_BYTES = 64 * KIB
"""What a route takes that does not say otherwise."""
SLOWEST_BYTES_PER_SECOND = 1 * KIB
_ATTRIBUTE = "max_body_bytes"

Handler = TypeVar("Handler", bound=Callable[..., object])


def takes(*, body_bytes: int) -> Callable[[Handler], Handler]:
    """Marks a handler whose body may have this many bytes."""

    def marked(handler: Handler) -> Handler:
        setattr(handler, _ATTRIBUTE, body_bytes)
        return handler

    return marked


def limit_of(handler: Callable[..., object]) -> int:
    """How many bytes a body of this handler's route may have."""
    return int(getattr(handler, _ATTRIBUTE, SMALL_BODY_BYTES))


def expected_bytes(request: Request, *, limit_bytes: int) -> int:
    """Room that the body will take: its declared length, or the limit; TooLarge beyond that."""
    coding = request.headers.get("content-encoding", "identity")
    if coding.lower() != "identity":
        raise HTTPException(415, "bodies are sent as they are, without Content-Encoding")
    declared = request.headers.get("content-length", "")
    if not declared.isdecimal():
        return limit_bytes if "transfer-encoding" in request.headers else 0
    if int(declared) > limit_bytes:
        raise _too_large(limit_bytes)
    return int(declared)


async def read_body(request: Request, *, limit_bytes: int, period_seconds: float) -> bytes:
    """The body; TooLarge, or TooSlow where a period brings less than the slowest rate."""
    pieces: list[bytes] = []
    size = at_start = 0
    ends_at = time.monotonic() + period_seconds
    while True:
        try:
            async with asyncio.timeout(ends_at - time.monotonic()):
                message = await request.receive()
        except TimeoutError:
            if size - at_start < period_seconds * SLOWEST_BYTES_PER_SECOND:
                raise TooSlow("the body comes too slowly") from None
            at_start, ends_at = size, time.monotonic() + period_seconds
            continue
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        pieces.append(message.get("body", b""))
        size += len(pieces[-1])
        if size > limit_bytes:
            raise _too_large(limit_bytes)
        if not message.get("more_body", False):
            return b"".join(pieces)


def _too_large(limit_bytes: int) -> TooLarge:
    return TooLarge(f"a body of this route has at most {limit_bytes // KIB} KiB")
