"""Bodies as JSON, strictly: two readers understand one the same, and every answer can repeat it."""

import json
import math
import re
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import Receive, Scope

from ffrtmp.api.bodies import expected_bytes, limit_of, read_body
from ffrtmp.api.state import load_of

MAX_SHOWN = 64
MAX_VALUES = 200_000
"""Each is an object in memory, many times as large as the two bytes that make it."""
_TEXTS = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)


class UnusableBody(HTTPException):
    """The body is not JSON as RFC 8259 means it, or says one thing twice."""

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(422, message)
        self.field = field


class StrictRoute(APIRoute):
    """A route whose body is read within bounds and understood by ``strict_json``."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler, given a request that is strict about its body."""
        handle = super().get_route_handler()
        limit_bytes = limit_of(self.endpoint)

        async def strictly(request: Request) -> Response:
            load = load_of(request)
            with load.holding(expected_bytes(request, limit_bytes=limit_bytes)):
                try:
                    body = await read_body(
                        request,
                        limit_bytes=limit_bytes,
                        period_seconds=load.limits.body_timeout,
                    )
                except ClientDisconnect:
                    return Response(status_code=400)  # which nobody hears
                return await handle(_StrictRequest(request.scope, request.receive, body))

        return strictly if self.body_field else handle


class _StrictRequest(Request):
    def __init__(self, scope: Scope, receive: Receive, body: bytes) -> None:
        super().__init__(scope, receive)
        self._read = body

    async def body(self) -> bytes:
        return self._read

    async def json(self) -> Any:
        return strict_json(self._read)


def strict_json(data: bytes) -> Any:
    """The document in ``data``; UnusableBody for what is not UTF-8 or JSON, nests too deep, names
    a field twice, has a number that is none, half of a surrogate pair, or too many values."""
    if _values(data) > MAX_VALUES and _values(_TEXTS.sub(b"", data)) > MAX_VALUES:
        raise UnusableBody(f"a body has at most {MAX_VALUES} values")
    try:
        text = data.decode()
        found = json.loads(
            text, object_pairs_hook=_each_once, parse_constant=_no_number, parse_float=_finite
        )
        if "\\ud" in text.lower():
            json.dumps(found, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise UnusableBody(f"not JSON: {error.msg} at character {error.pos}") from error
    except UnicodeDecodeError as error:
        raise UnusableBody("not UTF-8") from error
    except UnicodeEncodeError as error:
        raise UnusableBody("half of a surrogate pair is no text") from error
    except (ValueError, RecursionError) as error:
        raise UnusableBody("not JSON that can be read: too deep, or too long a number") from error
    return found


def _values(data: bytes) -> int:
    return sum(data.count(sign) for sign in (b",", b"[", b"{"))


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)[:MAX_SHOWN]
        raise UnusableBody(f"{twice!r} is given twice", field=twice)
    return found


def _no_number(text: str) -> float:
    raise UnusableBody(f"{text} is not a JSON number")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise UnusableBody(f"{text[:MAX_SHOWN]} is too large a number")
    return number
