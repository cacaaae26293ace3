"""The head of a request, judged before anything is done about it."""

import ipaddress
from collections.abc import Callable

from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from ffrtmp.api.errors import error_response, refusal_of
from ffrtmp.domain.errors import TooMany

MAX_TARGET_BYTES = 8 << 10
MAX_HEADERS = 100
MAX_HEADER_BYTES = 16 << 10
IPV6_SITE_BITS = 64


class HeadLimit:
    """Answers 414 and 431 to a head larger than the farm has use for, and 429 where ``admit``,
    which is asked about requests without a credential, says so with TooMany."""

    def __init__(self, app: ASGIApp, *, admit: Callable[[str], None] | None) -> None:
        self._app = app
        self._admit = admit

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it."""
        refusal = self._refusal(scope) if scope["type"] == "http" else None
        await (self._app if refusal is None else refusal)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Response | None:
        target_bytes = len(scope.get("raw_path") or b"") + len(scope["query_string"])
        if target_bytes > MAX_TARGET_BYTES:
            return error_response(414, "too_large", f"a URL has at most {MAX_TARGET_BYTES} bytes")
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        header_bytes = sum(len(name) + len(value) for name, value in headers)
        if len(headers) > MAX_HEADERS or header_bytes > MAX_HEADER_BYTES:
            limits = f"{MAX_HEADERS} headers of together {MAX_HEADER_BYTES} bytes"
            return error_response(431, "too_large", f"a request has at most {limits}")
        is_stranger = not any(name == b"authorization" for name, _ in headers)
        if is_stranger and self._admit is not None:
            try:
                self._admit(address_of(scope))
            except TooMany as error:
                return refusal_of(error, scope["app"])
        return None


def address_of(scope: Scope) -> str:
    """Who asks, as far as the network says: an address, of IPv6 a site's whole network."""
    host = str((scope.get("client") or ("",))[0])
    return site_of(host)


def site_of(host: str) -> str:
    """The address, or the network that one customer has of IPv6; another text as it is."""
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(address, ipaddress.IPv4Address):
        return str(address)
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ipaddress.ip_network((address, IPV6_SITE_BITS), strict=False))
