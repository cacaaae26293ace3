"""One file to an http(s) URL by PUT: streamed, never over what is there unless asked for."""

import base64
import binascii
import contextlib
import re
import socket
import ssl
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPStatus
from types import TracebackType
from typing import Final, Self

import httpcore
import httpx

from ffrtmp.domain.retry import FailureClass
from workers.addresses import AddressRefused, Lookup, Networks, permitted
from workers.errors import AttemptFailed, OutputAway
from workers.remote.items import Found, Item, Upload, Way, Whole, shown
from workers.remote.shipping import MASTER_PLAYLIST, place_of

TIMEOUTS: Final = {"connect": 10.0, "read": 120.0, "write": 60.0, "pool": 10.0}
LATER: Final = (408, 425, 429)
CONFLICTS: Final = (409, 412)
ASKED_DIGEST: Final = {"Want-Repr-Digest": "sha-256=9"}


class JudgedNetwork(httpcore.NetworkBackend):
    """Connects to the very address that was judged: no name leads further by changing its mind."""

    def __init__(self, allowed: Networks, lookup: Lookup = socket.getaddrinfo) -> None:
        self._allowed = allowed
        self._lookup = lookup
        self._inner = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """AddressRefused where the host is none that may be reached."""
        try:
            *others, last = permitted(host, port, self._allowed, lookup=self._lookup)
        except (OSError, UnicodeError) as error:
            raise httpcore.ConnectError(f"{host} cannot be resolved: {error}") from error
        for address, number in others:
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return self._inner.connect_tcp(
                    address, number, timeout, local_address, socket_options
                )
        return self._inner.connect_tcp(*last, timeout, local_address, socket_options)


class HttpStore:
    """PUT with the length and the digest; usable within ``with``."""

    def __init__(self, allowed: Networks) -> None:
        """``allowed``: networks that may be reached although they are not public."""
        self._pool = httpcore.ConnectionPool(
            ssl_context=ssl.create_default_context(), network_backend=JudgedNetwork(allowed)
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._pool.close()

    def look(self, location: str, *, is_folder: bool) -> Found | None:
        """What is there, as far as the server answers HEAD; of a folder its playlist."""
        place = place_of(location, MASTER_PLAYLIST) if is_folder else location
        status, headers = self._ask("HEAD", place, ASKED_DIGEST)
        if status != HTTPStatus.OK:
            return None
        sha256, length = _known_sha256(headers), headers.get("content-length", "")
        is_told = sha256 is not None and length.isdecimal()
        return Found(whole=Whole(sha256=sha256, size=int(length)) if sha256 and is_told else None)

    def put(self, item: Item, way: Way) -> None:
        """Send one file; AttemptFailed where it is refused for good, OutputAway for now."""
        # not every server heeds a condition, and the answer to an earlier PUT may be lost
        found = None if item.overwrite else self.look(item.location, is_folder=False)
        if _is(item, found):
            return
        if found is not None and not (found.whole and found.whole.sha256 in item.own):
            raise _refused(FailureClass.OUTPUT_EXISTS, item, "exists")
        way.confirm()
        headers = _headers(item, replaces=item.overwrite or found is not None)
        status, _ = self._ask("PUT", item.location, headers, item.chunks(way.moved))
        if status // 100 != 2:
            self._judge(status, item)

    def _judge(self, status: int, item: Item) -> None:
        """Raise what an answer other than success means, unless the file is there all the same."""
        said = f"HTTP {status} {_phrase(status)}".rstrip()
        if status in LATER or status // 100 == 5:
            raise OutputAway(f"output {shown(item.location)}: {said}")
        if status not in CONFLICTS:
            raise _refused(FailureClass.OUTPUT_REFUSED, item, said)
        found = self.look(item.location, is_folder=False)
        if _is(item, found):
            return
        is_taken = found is not None or status == HTTPStatus.PRECONDITION_FAILED
        kind = FailureClass.OUTPUT_EXISTS if is_taken else FailureClass.OUTPUT_REFUSED
        raise _refused(kind, item, said)

    def abandon(self, location: str, upload: Upload) -> None:
        """Nothing is left of a file that did not arrive whole."""

    def _ask(
        self,
        method: str,
        location: str,
        headers: Mapping[str, str],
        content: Iterator[bytes] | None = None,
    ) -> tuple[int, dict[str, str]]:
        """Status and headers of the answer; redirects are not followed."""
        try:
            with self._pool.stream(
                method,
                str(httpx.URL(location)),
                headers=list(headers.items()),
                content=content,
                extensions={"timeout": TIMEOUTS},
            ) as answer:
                found = {
                    name.decode("latin-1").lower(): value.decode("latin-1")
                    for name, value in answer.headers
                }
                return answer.status, found
        except (AddressRefused, httpx.InvalidURL) as refused:
            message = f"output {shown(location)}: {refused}"
            raise AttemptFailed(FailureClass.OUTPUT_REFUSED, message) from refused
        except (httpcore.NetworkError, httpcore.TimeoutException, httpcore.ProtocolError) as error:
            why = str(error) or type(error).__name__
            raise OutputAway(f"output {shown(location)}: {why}") from error


def _is(item: Item, found: Found | None) -> bool:
    return found is not None and found.whole is not None and found.whole.sha256 == item.sha256


def _refused(kind: FailureClass, item: Item, why: str) -> AttemptFailed:
    return AttemptFailed(kind, f"output {shown(item.location)}: {why}")


def _headers(item: Item, *, replaces: bool) -> dict[str, str]:
    condition = {} if replaces else {"If-None-Match": "*"}
    return {
        "Content-Length": str(item.size),
        "Content-Type": item.content_type,
        "Repr-Digest": _digest(item.sha256),
        "User-Agent": "ffrtmp",
        **condition,
    }


def _digest(sha256: str) -> str:
    return f"sha-256=:{base64.b64encode(bytes.fromhex(sha256)).decode()}:"


def _known_sha256(headers: Mapping[str, str]) -> str | None:
    """The hash that a server tells of a file: in its digest, or as its entity tag."""
    told = re.search(r"sha-256=:([A-Za-z0-9+/=]+):", headers.get("repr-digest", ""))
    with contextlib.suppress(binascii.Error):
        if told is not None:
            return base64.b64decode(told[1], validate=True).hex()
    tag = headers.get("etag", "").strip('"').lower()
    return tag if re.fullmatch(r"[0-9a-f]{64}", tag) else None


def _phrase(status: int) -> str:
    with contextlib.suppress(ValueError):
        return HTTPStatus(status).phrase
    return ""
