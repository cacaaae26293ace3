"""No body larger than the farm has use for, whether its length is declared or not."""

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ffrtmp.api.errors import error_response

MAX_BODY_BYTES = 8 << 20


class BodyTooLarge(Exception):  # noqa: N818
    """More bytes came than a body may have."""


class BodyLimit:
    """Answers 413 before or while a body grows too large; memory stays flat."""

    def __init__(self, app: ASGIApp, *, limit_bytes: int = MAX_BODY_BYTES) -> None:
        self._app = app
        self._limit_bytes = limit_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, counting."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit_bytes:
            await self._refuse(scope, receive, send)
            return
        seen = 0

        async def counted() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._limit_bytes:
                raise BodyTooLarge
            return message

        try:
            await self._app(scope, counted, send)
        except BodyTooLarge:
            await self._refuse(scope, receive, send)

    async def _refuse(self, scope: Scope, receive: Receive, send: Send) -> None:
        limit = self._limit_bytes >> 20
        refusal = error_response(413, "too_large", f"a body has at most {limit} MiB")
        await refusal(scope, receive, send)
