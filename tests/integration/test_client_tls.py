"""Whom a client trusts."""

import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest
import trustme

from ffrtmp.client import Connection, MasterClient, MasterUnreachable


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        body = b'{"status": "ok", "version": "1"}'
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *words: object) -> None:  # noqa: A002
        pass


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """Of a master over TLS; its authority is ``ca.pem``."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    with HTTPServer(("127.0.0.1", 0), Health) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_a_given_authority_is_trusted_however_the_scheme_is_written(
    scheme: str, port: int, tmp_path: Path
) -> None:
    to = Connection(url=f"{scheme}://127.0.0.1:{port}", ca=str(tmp_path / "ca.pem"))

    with MasterClient(to) as master:
        master.health()


def test_without_an_authority_an_unknown_master_is_not_trusted(port: int) -> None:
    with (
        MasterClient(Connection(url=f"https://127.0.0.1:{port}")) as master,
        pytest.raises(MasterUnreachable),
    ):
        master.health()
