"""The only way out for an attempt's ffmpeg and probe: a forward proxy that looks where they go.

A name is looked up here and nowhere else, at every new connection, and the connection is made to
the very address that was judged: neither a redirect nor a name that changes its mind leads
further.
"""

import base64
import contextlib
import hmac
import logging
import secrets
import selectors
import socket
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final, Self
from urllib.parse import urlsplit

from workers.addresses import AddressRefused, Lookup, Networks, permitted

CONNECT_SECONDS: Final = 10.0
HEAD_SECONDS: Final = 10.0
MAX_HEAD_BYTES: Final = 1 << 16
_CHUNK_BYTES: Final = 1 << 18
_USER: Final = "attempt"
# what concerns one connection only, and what would announce a body
_DROPPED: Final = frozenset(
    {
        *("connection", "keep-alive", "te", "trailer", "upgrade", "transfer-encoding"),
        *("proxy-connection", "proxy-authorization", "content-length", "expect"),
    }
)
log = logging.getLogger(__name__)


class BadRequest(Exception):  # noqa: N818
    """What a client of the gate said is nothing the gate does."""

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """Where a client wants to go, and what is to be said there: nothing for a tunnel."""

    host: str
    port: int
    head: bytes | None
    credential: str


class Gate:
    """Open within ``with``; whoever has its ``environment`` goes through it."""

    def __init__(self, allowed: Networks = (), *, lookup: Lookup = socket.getaddrinfo) -> None:
        """``allowed``: networks that may be read from although they are not public."""
        self._allowed = allowed
        self._lookup = lookup
        password = secrets.token_urlsafe(24)
        self._credential = base64.b64encode(f"{_USER}:{password}".encode()).decode()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._url = f"http://{_USER}:{password}@127.0.0.1:{self._listener.getsockname()[1]}"
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._is_closed = False
        self._refused: str | None = None
        self._unreachable: str | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What sends a child of libavformat through the gate."""
        return {"http_proxy": self._url}

    @property
    def refused(self) -> str | None:
        """Why the first host that was refused was refused; None where none was."""
        return self._refused

    @property
    def unreachable(self) -> str | None:
        """Which host was not reached last, and why; None where each was."""
        return self._unreachable

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, name="gate", daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End every connection; nothing is reached through the gate any more."""
        with self._lock:
            self._is_closed = True
            ends = [self._listener, *self._open]
        for end in ends:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                if self._is_closed:
                    return
                log.exception("the gate takes no connection")
                threading.Event().wait(0.5)
                continue
            threading.Thread(
                target=self._serve, args=(client,), name="gate-client", daemon=True
            ).start()

    def _serve(self, client: socket.socket) -> None:
        """One connection, one request; whatever goes wrong ends it."""
        with contextlib.suppress(OSError), self._kept(client):
            client.settimeout(HEAD_SECONDS)
            try:
                request = parse(_read_head(client))
                if not hmac.compare_digest(request.credential.encode(), self._credential.encode()):
                    raise BadRequest("407 Proxy Authentication Required")
                server = self._connect(request)
            except BadRequest as bad:
                client.sendall(_answer(bad.status))
                return
            with self._kept(server):
                self._carry(request, client, server)

    def _connect(self, request: Request) -> socket.socket:
        """A connection to an address that was judged; BadRequest says why there is none."""
        try:
            found = permitted(request.host, request.port, self._allowed, lookup=self._lookup)
        except AddressRefused as refused:
            self._refused = self._refused or str(refused)
            raise BadRequest("403 Forbidden") from refused
        except (OSError, ValueError) as error:  # a name that no resolver takes is a ValueError
            self._unreachable = f"{request.host} cannot be resolved: {_words(error)}"
            raise BadRequest("502 Bad Gateway") from error
        for address in found:
            try:
                return socket.create_connection(address, timeout=CONNECT_SECONDS)
            except OSError as error:
                self._unreachable = f"{request.host}:{request.port}: {_words(error)}"
        raise BadRequest("504 Gateway Timeout")

    def _carry(self, request: Request, client: socket.socket, server: socket.socket) -> None:
        client.settimeout(None)
        server.settimeout(None)
        if request.head is None:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            _relay({server: client, client: server})
        else:
            server.sendall(request.head)
            _relay({server: client})

    @contextlib.contextmanager
    def _kept(self, end: socket.socket) -> Iterator[None]:
        """Closed after use, and shut down before that when the gate closes."""
        with end:
            with self._lock:
                if self._is_closed:
                    raise ConnectionAbortedError("the gate is closed")
                self._open.add(end)
            try:
                yield
            finally:
                with self._lock:
                    self._open.discard(end)


def parse(head: bytes) -> Request:
    """What a request's head asks for; BadRequest names the status to answer with."""
    first, *lines = head.decode("latin-1").split("\r\n")
    fields = [tuple(line.split(":", 1)) for line in lines if ":" in line]
    said = {name.strip().lower(): value.strip() for name, value in fields}
    credential = said.get("proxy-authorization", "").removeprefix("Basic ")
    match first.split(" "):
        case ["CONNECT", target, version] if version.startswith("HTTP/1."):
            host, port = _place(f"https://{target}", default=443)
            return Request(host=host, port=port, head=None, credential=credential)
        case ["GET" | "HEAD" as method, target, version] if version.startswith("HTTP/1."):
            if not target.lower().startswith("http://"):
                raise BadRequest("400 Bad Request")
            host, port = _place(target, default=80)
            kept = [
                line for line in lines if line.partition(":")[0].strip().lower() not in _DROPPED
            ]
            path = _path(target)
            asked = [f"{method} {path} HTTP/1.1", *filter(None, kept), "Connection: close", "", ""]
            return Request(
                host=host,
                port=port,
                head="\r\n".join(asked).encode("latin-1"),
                credential=credential,
            )
    raise BadRequest("405 Method Not Allowed")


def _place(url: str, *, default: int) -> tuple[str, int]:
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        raise BadRequest("400 Bad Request") from None
    if not host:
        raise BadRequest("400 Bad Request")
    return host, port or default


def _path(url: str) -> str:
    rest = url[len("http://") :]
    start = min((at for at in map(rest.find, "/?#") if at >= 0), default=len(rest))
    path = rest[start:].partition("#")[0]
    return path if path.startswith("/") else f"/{path}"


def _read_head(client: socket.socket) -> bytes:
    """Up to the blank line that ends it; nothing is expected after it."""
    head = b""
    while b"\r\n\r\n" not in head:
        more = client.recv(MAX_HEAD_BYTES)
        head += more
        if not more or len(head) > MAX_HEAD_BYTES:
            raise BadRequest("400 Bad Request")
    return head.partition(b"\r\n\r\n")[0]


def _words(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)


def _answer(status: str) -> bytes:
    ask = 'Proxy-Authenticate: Basic realm="ffrtmp"\r\n' if status.startswith("407") else ""
    return f"HTTP/1.1 {status}\r\n{ask}Content-Length: 0\r\nConnection: close\r\n\r\n".encode()


def _relay(ways: Mapping[socket.socket, socket.socket]) -> None:
    """Carry bytes each way until one end closes, or one that has nothing to say speaks."""
    with selectors.DefaultSelector() as selector:
        for end in {*ways, *ways.values()}:
            selector.register(end, selectors.EVENT_READ, ways.get(end))
        while True:
            for key, _ in selector.select():
                source: socket.socket = key.fileobj  # type: ignore[assignment]
                data = source.recv(_CHUNK_BYTES)
                if not data or key.data is None:
                    return
                key.data.sendall(data)
