"""The gate carries what was judged good, and nothing else."""

import base64
import contextlib
import socket
import threading
from collections.abc import Iterator
from ipaddress import ip_network
from typing import Any
from urllib.parse import urlsplit

import pytest

from tests.waiting import wait_until
from workers.gate import BadRequest, Gate, parse

THIS = (ip_network("127.0.0.1/32"),)


class Server:
    """Answers every connection with what it was sent, and counts them."""

    def __init__(self) -> None:
        self.listener = socket.create_server(("0.0.0.0", 0))  # noqa: S104 - all of 127/8
        self.port = self.listener.getsockname()[1]
        self.seen: list[bytes] = []
        self.held: list[socket.socket] = []
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            self.held.append(client)
            with contextlib.suppress(OSError):  # whoever asked may be gone
                self.seen.append(client.recv(1 << 16))
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                client.shutdown(socket.SHUT_WR)

    def close(self) -> None:
        for end in (self.listener, *self.held):
            end.close()


@pytest.fixture
def server() -> Iterator[Server]:
    running = Server()
    try:
        yield running
    finally:
        running.listener.shutdown(socket.SHUT_RDWR)
        running.close()


def say(gate: Gate, head: str, *, credential: str | None = None) -> bytes:
    """The whole answer to one request."""
    proxy = urlsplit(gate.environment["http_proxy"])
    known = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    with socket.create_connection((proxy.hostname or "", proxy.port or 0), timeout=10) as client:
        asked = f"{head}\r\nProxy-Authorization: Basic {credential or known}\r\n\r\n"
        client.sendall(asked.encode())
        answer = b""
        while more := client.recv(1 << 16):
            answer += more
        return answer


def test_request_reaches_an_allowed_host_without_what_is_the_gates(server: Server) -> None:
    with Gate(THIS) as gate:
        answer = say(
            gate,
            f"GET http://me:pw@127.0.0.1:{server.port}/a?b=1#c HTTP/1.1\r\nHost: h\r\n"
            "Range: bytes=0-\r\nConnection: keep-alive\r\nContent-Length: 5",
        )

    assert answer.endswith(b"ok")
    assert server.seen == [
        b"GET /a?b=1 HTTP/1.1\r\nHost: h\r\nRange: bytes=0-\r\nConnection: close\r\n\r\n"
    ]
    assert gate.refused is None


@pytest.mark.parametrize(
    "head", ["GET http://127.0.0.2:{}/ HTTP/1.1", "CONNECT 127.0.0.2:{} HTTP/1.1"]
)
def test_host_that_is_not_allowed_is_never_connected_to(server: Server, head: str) -> None:
    with Gate(THIS) as gate:
        answer = say(gate, head.format(server.port))

    assert answer.startswith(b"HTTP/1.1 403 ")
    assert server.seen == []
    assert "127.0.0.2 is a loopback address" in (gate.refused or "")


def test_name_that_changes_its_mind_is_judged_at_every_connection(server: Server) -> None:
    answers = iter(["127.0.0.1", "127.0.0.2", "127.0.0.2"])

    def lookup(_host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (next(answers), port))]

    asked = f"GET http://rebound.example:{server.port}/ HTTP/1.1"
    with Gate(THIS, lookup=lookup) as gate:
        first, second = say(gate, asked), say(gate, asked)

    assert (first[:12], second[:12]) == (b"HTTP/1.1 200", b"HTTP/1.1 403")
    assert len(server.seen) == 1


def test_connection_is_made_to_the_address_that_was_judged(server: Server) -> None:
    asked: list[str] = []

    def lookup(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", port))]

    with Gate(THIS, lookup=lookup) as gate:
        say(gate, f"GET http://once.example:{server.port}/ HTTP/1.1")

    assert asked == ["once.example"]
    assert len(server.seen) == 1


def test_whoever_has_not_the_credential_is_asked_for_it(server: Server) -> None:
    with Gate(THIS) as gate:
        answer = say(gate, f"GET http://127.0.0.1:{server.port}/ HTTP/1.1", credential="d3Jvbmc=")

    assert answer.startswith(b"HTTP/1.1 407 ")
    assert b"Proxy-Authenticate: Basic" in answer
    assert server.seen == []


def tunnel(gate: Gate, port: int) -> socket.socket:
    proxy = urlsplit(gate.environment["http_proxy"])
    known = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
    client = socket.create_connection((proxy.hostname or "", proxy.port or 0), timeout=10)
    asked = f"CONNECT 127.0.0.1:{port} HTTP/1.1\r\nProxy-Authorization: Basic {known}\r\n\r\n"
    client.sendall(asked.encode())
    assert client.recv(1 << 16) == b"HTTP/1.1 200 Connection established\r\n\r\n"
    return client


def test_tunnel_carries_both_ways(server: Server) -> None:
    with Gate(THIS) as gate, tunnel(gate, server.port) as client:
        client.sendall(b"hello")
        answer = client.recv(1 << 16)

    assert answer.endswith(b"ok")
    assert server.seen == [b"hello"]


def test_closed_gate_ends_its_connections_and_takes_no_more(server: Server) -> None:
    with Gate(THIS) as gate:
        client = tunnel(gate, server.port)
    with client:
        ended = client.recv(1 << 16)

    assert ended == b""
    port = urlsplit(gate.environment["http_proxy"]).port
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port or 0), timeout=5)
    wait_until(lambda: not any(it.name.startswith("gate") for it in threading.enumerate()))


@pytest.mark.parametrize("host", ["no.such.host.invalid", "a" * 70 + ".example", "a..b"])
def test_host_that_leads_nowhere_is_named_and_not_refused(host: str) -> None:
    with Gate(THIS) as gate:
        answer = say(gate, f"GET http://{host}/ HTTP/1.1")

    assert answer.startswith(b"HTTP/1.1 502 ")
    assert (gate.unreachable or "").startswith(f"{host} cannot be resolved")
    assert gate.refused is None


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("POST http://h/ HTTP/1.1", "405"),
        ("GET /etc/passwd HTTP/1.1", "400"),
        ("GET file:///etc/passwd HTTP/1.1", "400"),
        ("GET https://h/ HTTP/1.1", "400"),
        ("GET http:///x HTTP/1.1", "400"),
        ("GET http://h:99999/ HTTP/1.1", "400"),
        ("CONNECT h:x HTTP/1.1", "400"),
        ("GET http://h/ HTTP/2", "405"),
        ("nonsense", "405"),
        ("", "405"),
    ],
)
def test_what_is_no_request_for_a_remote_file_is_refused(head: str, status: str) -> None:
    with pytest.raises(BadRequest, match=status):
        parse(head.encode())
