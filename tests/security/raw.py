"""Connections by hand, for what no HTTP client would send."""

import contextlib
import resource
import socket
from collections.abc import Iterator, Sequence

from tests.integration.agents import KEY

AUTHORIZED = f"Host: farm\r\nAuthorization: Bearer {KEY}\r\nContent-Type: application/json\r\n"
TAKES_LITTLE_BYTES = 4096
SPARE_FILES = 512


def connected(port: int, *, seconds: float = 20.0, reads_little: bool = False) -> socket.socket:
    """A connection whose reads give up after ``seconds``."""
    made = socket.socket()
    if reads_little:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, TAKES_LITTLE_BYTES)
    made.settimeout(seconds)
    made.connect(("127.0.0.1", port))
    return made


@contextlib.contextmanager
def many(port: int, count: int, *, reads_little: bool = False) -> Iterator[Sequence[socket.socket]]:
    """Connections that are closed at the end of the block."""
    allow_files(count + SPARE_FILES)
    with contextlib.ExitStack() as opened:
        yield [
            opened.enter_context(connected(port, reads_little=reads_little)) for _ in range(count)
        ]


def allow_files(count: int) -> None:
    """Let this process have so many files open, where it has to and may."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < count:
        most = count if hard == resource.RLIM_INFINITY else min(count, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def asked(method: str, path: str, headers: str = AUTHORIZED) -> bytes:
    """The head of a request."""
    return f"{method} {path} HTTP/1.1\r\n{headers}\r\n".encode()


def status_of(connection: socket.socket) -> int:
    """The status of the one answer that comes, 0 where the connection just ends."""
    said = b""
    with contextlib.suppress(ConnectionError):
        while more := connection.recv(65536):
            said += more
            if b"\r\n" in said:
                break
    return int(said.split()[1]) if said.startswith(b"HTTP/1.1 ") else 0


def is_cut_off(connection: socket.socket) -> bool:
    """Whether the other side has ended a connection that nobody reads."""
    try:
        connection.send(b"x", socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return False


def takes_no_more(connection: socket.socket, drip: bytes) -> bool:
    """Whether a connection is at its end, after these bytes more."""
    try:
        connection.send(drip, socket.MSG_NOSIGNAL)
    except OSError:
        return True
    return is_cut_off(connection) if not drip else False


def sent_until_refused(sender: socket.socket, piece: bytes, *, once: bool = False) -> int:
    """The answer to a stream of pieces that only a refusal ends."""
    sender.settimeout(0.01)
    said = b""
    for _ in range(1 if once else 16_384):
        with contextlib.suppress(TimeoutError, ConnectionError):
            sender.sendall(piece)
        try:
            said += sender.recv(4096)
        except TimeoutError:
            pass
        except ConnectionError:
            break
        if said:
            break
    sender.settimeout(10)
    return int(said.split()[1]) if said else status_of(sender)
