"""What an attacker has: a web server that the node may read, and places that it must not reach."""

import contextlib
import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class WebServer(ThreadingHTTPServer):
    """On 127.0.0.1. ``pages`` are bodies by name, ``redirects`` targets by name.

    Of a page with a redirect besides, the beginning is sent, and whoever asks for the rest is
    redirected. ``after`` holds what is done after a page was asked for.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.pages: dict[str, bytes] = {}
        self.redirects: dict[str, str] = {}
        self.after: dict[str, Callable[[], object]] = {}
        self.asked: list[str] = []

    def serve(self, name: str, body: bytes) -> str:
        """The URL of a page."""
        self.pages[name] = body
        return self.url(name)

    def redirect(self, name: str, target: str) -> str:
        """The URL of a page that leads elsewhere."""
        self.redirects[name] = target
        return self.url(name)

    def url(self, name: str, *, host: str = "127.0.0.1") -> str:
        return f"http://{host}:{self.server_port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server: WebServer

    def do_GET(self) -> None:
        name = self.path.lstrip("/")
        self.server.asked.append(name)
        self.server.after.get(name, lambda: None)()
        target, body = self.server.redirects.get(name), self.server.pages.get(name, b"")
        is_begun = self.headers.get("Range", "bytes=0-") == "bytes=0-" and bool(body)
        if target is not None and not is_begun:
            self.send_response(302)
            self.send_header("Location", target)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200 if name in self.server.pages else 404)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Accept-Ranges", "bytes")
        self.end_headers()
        with contextlib.suppress(ConnectionError):
            self.wfile.write(body if target is None else body[: len(body) // 2])

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", "0")))
        self.do_GET()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


class Canary:
    """Counts who connects to an address of this host."""

    def __init__(self, address: str, port: int = 0) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self._listener = socket.create_server((address, port), family=family)
        self.port = self._listener.getsockname()[1]
        self.place = f"[{address}]:{self.port}" if ":" in address else f"{address}:{self.port}"
        self.visits = 0
        threading.Thread(target=self._count, daemon=True).start()

    def _count(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            self.visits += 1
            client.close()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


@contextlib.contextmanager
def web_server() -> Iterator[WebServer]:
    server = WebServer()
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def has_ipv6() -> bool:
    """Whether this host has a loopback of IPv6."""
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        return False
    return True
