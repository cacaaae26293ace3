"""TLS before a real valkey or PostgreSQL: real handshakes, since the servers that come as wheels
are built without."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import trustme

CHUNK_BYTES = 1 << 16


SSL_REQUEST_BYTES = 8
"""PostgreSQL's clients ask for TLS with a message of this length, and wait for an S."""


class TlsDoor:
    """Listens on 127.0.0.1 with a context and forwards what is decrypted to a port, or to
    PostgreSQL at a Unix socket; without a context it forwards what it gets."""

    def __init__(self, beyond: int | Path, context: ssl.SSLContext | None) -> None:
        self._target, self._context = beyond, context
        self.refused: list[str] = []
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(10)
        try:
            inside = self._inside(client)
        except OSError as error:
            self.refused.append(str(error))
            client.close()
            return
        with inside, self._beyond() as beyond:
            inside.settimeout(None)
            back = threading.Thread(target=_pump, args=(beyond, inside), daemon=True)
            back.start()
            _pump(inside, beyond)
            back.join()

    def _inside(self, client: socket.socket) -> socket.socket:
        if self._context is None:
            return client
        if isinstance(self._target, Path):
            client.recv(SSL_REQUEST_BYTES, socket.MSG_WAITALL)
            client.sendall(b"S")
        return self._context.wrap_socket(client, server_side=True)

    def _beyond(self) -> socket.socket:
        if isinstance(self._target, int):
            return socket.create_connection(("127.0.0.1", self._target))
        found = socket.socket(socket.AF_UNIX)
        found.connect(str(self._target))
        return found


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError, ValueError):
        while data := source.recv(CHUNK_BYTES):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def server_context(issued: trustme.LeafCert) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    issued.configure_cert(context)
    return context


@contextlib.contextmanager
def door(beyond: int | Path, context: ssl.SSLContext | None) -> Iterator[TlsDoor]:
    made = TlsDoor(beyond, context)
    try:
        yield made
    finally:
        made.close()


def written(authority: trustme.CA, folder: Path) -> Path:
    """The authority's certificate as a file."""
    file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file
