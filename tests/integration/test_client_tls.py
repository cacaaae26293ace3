"""Whom a client trusts and what it shows, also when its files change."""

import logging
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from cli.certs.wanted import Kind
from ffrtmp.client import Connection, MasterClient, MasterNotTrusted, MasterUnreachable
from tests.certificates import Authority, Files


@dataclass
class Master:
    """Of ``ours``; asks for certificates and keeps the serial of each that was shown."""

    ours: Authority
    port: int
    context: ssl.SSLContext
    seen: list[int]

    def serve(self, files: Files) -> None:
        self.context.load_cert_chain(files.cert, files.key)


@pytest.fixture
def master(tmp_path: Path) -> Iterator[Master]:
    ours = Authority(tmp_path / "ours")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ours.ca)
    context.verify_mode = ssl.CERT_OPTIONAL
    first = ours.issue(Kind.MASTER, "master")
    context.load_cert_chain(first.cert, first.key)
    seen: list[int] = []

    class Health(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert isinstance(self.connection, ssl.SSLSocket)
            shown = self.connection.getpeercert()
            seen.append(int(str(shown["serialNumber"]), 16) if shown else 0)
            body = b'{"status": "ok", "version": "1"}'
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *words: object) -> None:  # noqa: A002
            pass

    class Quiet(HTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            pass

    with Quiet(("127.0.0.1", 0), Health) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield Master(ours=ours, port=server.server_port, context=context, seen=seen)
        server.shutdown()
        thread.join()


def connection(master: Master, shows: Files | None = None, scheme: str = "https") -> Connection:
    return Connection(
        url=f"{scheme}://127.0.0.1:{master.port}",
        ca=str(master.ours.ca),
        cert=str(shows.cert) if shows else None,
        cert_key=str(shows.key) if shows else None,
    )


@pytest.mark.parametrize("scheme", ["https", "HTTPS"])
def test_a_given_authority_is_trusted_however_the_scheme_is_written(
    scheme: str, master: Master
) -> None:
    with MasterClient(connection(master, scheme=scheme)) as client:
        client.health()


def test_without_an_authority_an_unknown_master_is_not_trusted(master: Master) -> None:
    with (
        MasterClient(Connection(url=f"https://127.0.0.1:{master.port}")) as client,
        pytest.raises(MasterNotTrusted),
    ):
        client.health()


def test_nobody_at_the_port_is_no_matter_of_trust(master: Master) -> None:
    nobody = Connection(url="https://127.0.0.1:1", ca=str(master.ours.ca))
    with MasterClient(nobody) as client, pytest.raises(MasterUnreachable) as refused:
        client.health()

    assert not isinstance(refused.value, MasterNotTrusted)


def test_renewed_certificate_is_shown_by_a_client_that_runs(
    master: Master, caplog: pytest.LogCaptureFixture
) -> None:
    first = master.ours.issue(Kind.NODE, "node")
    with MasterClient(connection(master, first)) as client:
        client.health()
        second = master.ours.issue(Kind.NODE, "node")
        client.health()
        key = second.key.read_text()
        second.key.write_text("nonsense")
        with caplog.at_level(logging.WARNING):
            client.health()
        second.key.write_text(key)
        third = master.ours.issue(Kind.NODE, "node")
        client.health()

    serials = [files.pair.certificate.serial_number for files in (first, second, second, third)]
    assert master.seen == serials
    assert "connecting with the certificates there were" in caplog.text


def test_authority_that_takes_the_place_of_another_is_trusted_by_a_client_that_runs(
    master: Master, tmp_path: Path
) -> None:
    other = Authority(tmp_path / "other")
    with MasterClient(connection(master)) as client:
        client.health()
        master.serve(other.issue(Kind.MASTER, "master"))
        with pytest.raises(MasterNotTrusted):
            client.health()
        master.ours.ca.write_text(other.ca.read_text())
        client.health()
        master.serve(master.ours.issue(Kind.MASTER, "again"))
        with pytest.raises(MasterNotTrusted):
            client.health()
