"""A web server that takes files by PUT, and does so badly when told to."""

import base64
import contextlib
import hashlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

CUT: Final = "cut"
"""End the connection in the middle of the body."""
LOST: Final = "lost"
"""Keep the file and end the connection without an answer."""
HANG: Final = "hang"
"""Stop in the middle of the body, and say nothing until the server ends."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One request."""

    method: str
    path: str
    headers: dict[str, str]


class PutServer(ThreadingHTTPServer):
    """``files`` by path; ``script`` says what becomes of the next PUTs: a status or a word."""

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.asked: list[Asked] = []
        self.script: list[int | str] = []
        self.tells_digests = True
        self.heeds_conditions = True
        self.is_over = threading.Event()
        self.on_put: Callable[[], None] = lambda: None

    def url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.server_port}{path}"

    def puts(self) -> list[Asked]:
        return [asked for asked in self.asked if asked.method == "PUT"]


class _Handler(BaseHTTPRequestHandler):
    server: PutServer
    protocol_version = "HTTP/1.1"

    def do_PUT(self) -> None:
        headers = self._note()
        length = int(headers["content-length"])
        self.server.on_put()
        order = self.server.script.pop(0) if self.server.script else None
        if order in (CUT, HANG):
            self.rfile.read(length // 2)
            if order == HANG:
                self.server.is_over.wait()
            self.close_connection = True
            return
        body = self.rfile.read(length)
        if len(body) < length:
            self.close_connection = True
        elif isinstance(order, int):
            self._answer(order, {"Location": self.server.url("/elsewhere")})
        elif self._is_kept(headers):
            self._answer(412, {})
        else:
            self.server.files[self.path] = body
            if order == LOST:
                self.close_connection = True
            else:
                self._answer(201, {})

    def do_HEAD(self) -> None:
        self._note()
        body = self.server.files.get(self.path)
        if body is None:
            self._answer(404, {})
        elif self.server.tells_digests:
            self._answer(200, {"Repr-Digest": digest(body)}, length=len(body))
        else:
            self._answer(200, {}, length=len(body))

    def _is_kept(self, headers: dict[str, str]) -> bool:
        is_conditional = self.server.heeds_conditions and headers.get("if-none-match") == "*"
        return is_conditional and self.path in self.server.files

    def _note(self) -> dict[str, str]:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.server.asked.append(Asked(method=self.command, path=self.path, headers=headers))
        return headers

    def _answer(self, status: int, headers: dict[str, str], *, length: int = 0) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(length))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


def digest(body: bytes) -> str:
    """What ``Repr-Digest`` says of it."""
    return f"sha-256=:{base64.b64encode(hashlib.sha256(body).digest()).decode()}:"


@contextlib.contextmanager
def put_server() -> Iterator[PutServer]:
    """Serves until the end of the block."""
    server = PutServer()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()
