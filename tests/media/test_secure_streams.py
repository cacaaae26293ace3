"""Streams to a server of rtmps: verified, and never by the way that leads to the input."""

import contextlib
import functools
import http.server
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from ffrtmp.domain.retry import FailureClass
from tests.media import streams
from tests.media.streams import report_of, streaming, to
from tests.unit import agent_parts
from tests.unit.agent_parts import Node

ADDRESS = "127.0.0.2"
"""Not among those that a node of tests reads from: its gate leads nowhere near."""
HELLO = b"\x03"
node = agent_parts.node
clip = streams.clip


class Studio:
    """Shakes hands, hears the first byte, and hangs up."""

    def __init__(self, folder: Path) -> None:
        authority = trustme.CA()
        self.certificate = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.certificate))
        self.heard: list[bytes] = []
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(ADDRESS).configure_cert(self._context)
        self.listener = socket.create_server((ADDRESS, 0))
        self.url = f"rtmps://{ADDRESS}:{self.listener.getsockname()[1]}/live/secret"
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            client.settimeout(10)
            with contextlib.suppress(OSError), self._context.wrap_socket(client, True) as secure:
                self.heard.append(secure.recv(1))


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    opened = Studio(tmp_path)
    yield opened
    with contextlib.suppress(OSError):
        opened.listener.shutdown(socket.SHUT_RDWR)
    opened.listener.close()


@pytest.fixture
def website(clip: Path) -> Iterator[str]:
    handler = functools.partial(_Quiet, directory=str(clip.parent))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{clip.name}"
    server.shutdown()
    server.server_close()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        pass


def test_stream_of_an_http_input_reaches_its_server_without_the_gate(
    node: Node, studio: Studio, website: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(studio.certificate))
    with streaming(node, to(studio.url, input=website), reconnect_seconds=0.2):
        body = report_of(node)

    assert studio.heard[:1] == [HELLO], body.logs
    assert body.failure_reason is FailureClass.CONNECTION


def test_server_whose_certificate_nobody_trusts_gets_nothing(node: Node, studio: Studio) -> None:
    with streaming(node, to(studio.url), reconnect_seconds=0.2):
        body = report_of(node)

    assert studio.heard == []
    assert body.failure_reason is FailureClass.CONNECTION
    assert "certificate" in (body.logs or "")
