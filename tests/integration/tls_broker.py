"""TLS before a real valkey: real handshakes, since the server that ships has none of its own."""

import contextlib
import socket
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import trustme

CHUNK_BYTES = 1 << 16


class TlsDoor:
    """Listens on 127.0.0.1 with a context and forwards what is decrypted to ``port``."""

    def __init__(self, port: int, context: ssl.SSLContext) -> None:
        self._target, self.context = port, context
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
            inside = self.context.wrap_socket(client, server_side=True)
        except OSError as error:
            self.refused.append(str(error))
            client.close()
            return
        with inside, socket.create_connection(("127.0.0.1", self._target)) as beyond:
            inside.settimeout(None)
            back = threading.Thread(target=_pump, args=(beyond, inside), daemon=True)
            back.start()
            _pump(inside, beyond)
            back.join()


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
def door(port: int, context: ssl.SSLContext) -> Iterator[TlsDoor]:
    made = TlsDoor(port, context)
    try:
        yield made
    finally:
        made.close()


def written(authority: trustme.CA, folder: Path) -> Path:
    """The authority's certificate as a file."""
    file = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    return file
