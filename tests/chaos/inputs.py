"""A web server whose answers end badly, or never."""

import contextlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.media.specs import make_clip


class BadServer(ThreadingHTTPServer):
    """``/endless`` repeats the clip for ever, ``/hangs`` stops in its middle and stays open."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, clip: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.clip = clip
        self.is_over = threading.Event()

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_port}/{name}"


class _Handler(BaseHTTPRequestHandler):
    server: BadServer

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()
        clip = self.server.clip
        with contextlib.suppress(ConnectionError):
            while not self.server.is_over.is_set():
                self.wfile.write(clip)
                if self.path == "/hangs":
                    self.server.is_over.wait()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@contextlib.contextmanager
def bad_server(folder: Path) -> Iterator[BadServer]:
    """Serves a clip of a format that can be cut anywhere."""
    source = ("-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=20")
    clip = make_clip(folder / "clip.ts", *source, "-c:v", "mpeg2video", "-f", "mpegts")
    server = BadServer(clip.read_bytes())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server
    finally:
        server.is_over.set()
        server.shutdown()
        server.server_close()
