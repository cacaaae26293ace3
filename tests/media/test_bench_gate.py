"""What the gate costs beside a direct connection: measured by ``make bench``."""

import base64
import contextlib
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

import psutil
import pytest

pytestmark = pytest.mark.slow

BYTES: Final = 1 << 30
LEAST_BYTES_PER_SECOND: Final = 200e6
MOST_CPU_SECONDS_PER_GIGABYTE: Final = 2.0
"""Eight times what was measured: a full line of 1 Gbit/s takes a quarter of a core at the most."""
_SERVER: Final = f"""
import socket
listener = socket.create_server(("127.0.0.1", 0))
print(listener.getsockname()[1], flush=True)
block = bytes(1 << 20)
while True:
    client, _ = listener.accept()
    client.recv(1 << 16)
    client.sendall(b"HTTP/1.1 200 OK\\r\\n\\r\\n")
    for _ in range({BYTES >> 20}):
        client.sendall(block)
    client.close()
"""
_GATE: Final = """
from ipaddress import ip_network
from workers.gate import Gate
with Gate((ip_network("127.0.0.0/8"),)) as gate:
    print(gate.environment["http_proxy"], flush=True)
    input()
"""


@contextlib.contextmanager
def running(program: str) -> Iterator[tuple[psutil.Process, str]]:
    """The process, and the line it says first."""
    command = [sys.executable, "-c", program]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as child:
        assert child.stdout is not None
        try:
            yield psutil.Process(child.pid), child.stdout.readline().strip()
        finally:
            child.kill()


def read(place: tuple[str, int], head: str) -> float:
    """Bytes per second of the whole answer to a request."""
    buffer, total, began = bytearray(1 << 18), 0, time.monotonic()
    with socket.create_connection(place) as client:
        client.sendall(f"{head}\r\n\r\n".encode())
        while count := client.recv_into(buffer):
            total += count
    assert total > BYTES
    return total / (time.monotonic() - began)


def test_bench_gate() -> None:
    with running(_SERVER) as (_, port), running(_GATE) as (gate, url):
        proxy = urlsplit(url)
        credential = base64.b64encode(f"{proxy.username}:{proxy.password}".encode()).decode()
        direct = read(("127.0.0.1", int(port)), "GET / HTTP/1.1")
        before = sum(gate.cpu_times()[:2])
        through = read(
            (proxy.hostname or "", proxy.port or 0),
            f"GET http://127.0.0.1:{port}/ HTTP/1.1\r\nProxy-Authorization: Basic {credential}",
        )
        cpu = (sum(gate.cpu_times()[:2]) - before) / (BYTES / 1e9)
    print(
        f"\ngate: {through / 1e6:.0f} MB/s, direct {direct / 1e6:.0f} MB/s, "
        f"{cpu:.2f} s of a core for each GB"
    )

    assert through > LEAST_BYTES_PER_SECOND
    assert cpu < MOST_CPU_SECONDS_PER_GIGABYTE
