"""The event loop of an API that serves HTTPS."""

import asyncio
from typing import Any


class HandshakeLoop(asyncio.SelectorEventLoop):
    """Gives a client of its TLS servers only so long to shake hands: before that it is nobody's
    connection yet, and no other limit sees it."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    async def create_server(self, *words: Any, **named: Any) -> asyncio.Server:
        """As that of any loop."""
        if named.get("ssl") is not None:
            named.setdefault("ssl_handshake_timeout", self._seconds)
        return await super().create_server(*words, **named)
