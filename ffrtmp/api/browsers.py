"""What every answer tells a browser, whoever sent it there: show, keep, embed and guess nothing."""

from collections.abc import MutableMapping
from typing import Any

from fastapi import FastAPI
from starlette.datastructures import MutableHeaders
from starlette.types import Receive, Scope, Send

HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class GuardedApp(FastAPI):
    """An app for programs: no pages, which would load scripts of others, and no redirects, which
    would lead to whatever host the request names."""

    def __init__(self, **more: Any) -> None:
        super().__init__(docs_url=None, redoc_url=None, redirect_slashes=False, **more)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer with HEADERS, also where nothing below could answer."""

        async def guarded(message: MutableMapping[str, Any]) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(HEADERS)
            await send(message)

        await super().__call__(scope, receive, guarded)
