"""A TCP proxy that a test cuts, freezes, or lets swallow answers: the network as a real fault."""

import contextlib
import socket
import threading
from collections.abc import Iterator

CHUNK_BYTES = 1 << 16
POLL_SECONDS = 0.05


class Proxy:
    """Listens on a free loopback port and forwards to ``port``; every fault lasts until healed.

    ``cut``: refused and reset, as when the host is gone. ``freeze``: connections stay open and
    nothing passes, as when packets are dropped. ``strand``: the same for ever for the connections
    there are now, while new ones work. ``drop_answers``: requests arrive, what comes back is
    thrown away and the connection closed.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._lock = threading.Lock()
        self._pairs: set[tuple[socket.socket, socket.socket]] = set()
        self._stranded: set[tuple[socket.socket, socket.socket]] = set()
        self._flows = threading.Event()
        self._flows.set()
        self._is_cut = self._is_closed = False
        self._answers_to_drop = 0
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self) -> None:
        """Reset every connection and refuse new ones."""
        with self._lock:
            self._is_cut = True
        self._hang_up()

    def freeze(self) -> None:
        """Let nothing pass; connections, old and new, stay open."""
        self._flows.clear()

    def strand(self) -> None:
        """Throw away what is sent on the present connections from now on; none is closed."""
        with self._lock:
            self._stranded |= self._pairs

    def drop_answers(self, count: int) -> None:
        """Close the next ``count`` connections on which an answer comes back, without it."""
        with self._lock:
            self._answers_to_drop = count

    def heal(self) -> None:
        """End every fault. What a freeze has held for long is lost with its connection."""
        with self._lock:
            was_frozen = not self._flows.is_set()
            self._is_cut, self._answers_to_drop = False, 0
        if was_frozen:
            self._hang_up()
        self._flows.set()

    @property
    def has_dropped(self) -> bool:
        """Whether every answer that was to be dropped has been."""
        return self._answers_to_drop == 0

    def ports_beyond(self) -> set[int]:
        """The local ports of its connections to what is behind it."""
        with self._lock:
            return {far.getsockname()[1] for _, far in self._pairs}

    def close(self) -> None:
        """Stop listening and end every connection."""
        self._is_closed = True
        self._listener.close()
        self._hang_up()
        self._flows.set()

    def _hang_up(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
        for pair in pairs:
            hang_up(pair)

    def _accept(self) -> None:
        while not self._is_closed:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            if self._is_cut:
                hang_up((near,))
                continue
            threading.Thread(target=self._connect, args=(near,), daemon=True).start()

    def _connect(self, near: socket.socket) -> None:
        try:
            far = socket.create_connection(("127.0.0.1", self._target), timeout=5)
            far.settimeout(None)
        except OSError:
            hang_up((near,))
            return
        pair = (near, far)
        with self._lock:
            if self._is_cut:
                hang_up(pair)
                return
            self._pairs.add(pair)
        for source, sink in ((near, far), (far, near)):
            threading.Thread(target=self._pump, args=(source, sink, pair), daemon=True).start()

    def _pump(
        self, source: socket.socket, sink: socket.socket, pair: tuple[socket.socket, socket.socket]
    ) -> None:
        with contextlib.suppress(OSError), self._until_closed(pair):
            while data := source.recv(CHUNK_BYTES):
                self._flows.wait()
                if pair in self._stranded:
                    continue
                if source is pair[1] and self._is_to_be_dropped():
                    return
                sink.sendall(data)

    def _is_to_be_dropped(self) -> bool:
        with self._lock:
            if self._answers_to_drop == 0:
                return False
            self._answers_to_drop -= 1
            return True

    @contextlib.contextmanager
    def _until_closed(self, pair: tuple[socket.socket, socket.socket]) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._pairs.discard(pair)
                self._stranded.discard(pair)
            hang_up(pair)


def hang_up(pair: tuple[socket.socket, ...]) -> None:
    """Close connections, waking whoever reads from them."""
    for end in pair:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
