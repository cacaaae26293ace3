"""No body larger than the farm has use for, whether its length is declared or not."""

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ffrtmp.api.errors import error_response

MAX_BODY_BYTES = 8 << 20


class BodyLimit:
    """Answers 413 before or while a body grows too large; memory stays flat."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._limit_bytes = limit_bytes
        self._refusal = f"a body has at most {limit_bytes >> 20} MiB"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit_bytes:
            refusal = error_response(413, "too_large", self._refusal)
            await refusal(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit_bytes:
                raise HTTPException(413, self._refusal)
            return message

        await self._app(scope, counted, send)
