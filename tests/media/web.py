"""A web server over TLS that has one file, with an authority of its own."""

import contextlib
import http.server
import re
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final

import trustme

_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The address of the file, and the file that names who vouches for the server.

    ``breaks`` has the place in the file of each answer that broke off.
    """

    url: str
    authority: Path
    breaks: list[int]


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers ranges as servers of media do."""

    protocol_version = "HTTP/1.1"
    content: bytes = b""
    breaks_after: int | None = None
    breaks: ClassVar[list[int]] = []

    def do_GET(self) -> None:
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        first = int(asked[1]) if asked else 0
        body = self.content[first:]
        self.send_response(206 if asked else 200)
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(len(body)))
        if asked:
            last = len(self.content) - 1
            self.send_header("Content-Range", f"bytes {first}-{last}/{len(self.content)}")
        self.end_headers()
        with contextlib.suppress(OSError):  # a client that seeks hangs up
            self.wfile.write(body[: self.breaks_after])
        if self.breaks_after is not None and len(body) > self.breaks_after:
            self.close_connection = True
            self.breaks.append(first + self.breaks_after)

    def log_message(self, *_: object) -> None:
        """Nothing."""


class _Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """A client that does not trust the server hangs up in the handshake."""


@contextlib.contextmanager
def site(
    file: Path, folder: Path, *, host: str = "127.0.0.1", breaks_after: int | None = None
) -> Iterator[Site]:
    """A server on loopback with a certificate for ``host``; ``folder`` keeps its authority.

    Every answer breaks off after so many bytes, whatever it announced.
    """
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(host).configure_cert(context)
    named = folder / "authority.pem"
    authority.cert_pem.write_to_path(str(named))
    breaks: list[int] = []
    served = {"content": file.read_bytes(), "breaks_after": breaks_after, "breaks": breaks}
    handler = type("Handler", (_Handler,), served)
    server = _Server(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    server.socket = context.wrap_socket(
        server.socket, server_side=True, do_handshake_on_connect=False
    )
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        url = f"https://127.0.0.1:{server.server_port}/{file.name}"
        yield Site(url=url, authority=named, breaks=breaks)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
