"""A TCP proxy that a test cuts, freezes, or lets swallow answers: the network as a real fault."""

import contextlib
import re
import socket
import threading
from collections import Counter
from collections.abc import Iterator
from fnmatch import fnmatchcase

CHUNK_BYTES = 1 << 16
STATUS_LINE = b"HTTP/1.1 "
REQUEST_LINE = re.compile(rb"([A-Z]+ [^ ]+) HTTP/1\.1\r\n")
Pair = tuple[socket.socket, socket.socket]
"""A client's connection, and the one beyond it."""


class Proxy:
    """Listens on a free loopback port and forwards to ``port``; every fault lasts until healed.

    ``cut``: refused and reset, as when the host is gone. ``freeze``: connections stay open and
    nothing passes, as when packets are dropped. ``strand``: the same for ever for the connections
    there are now, while new ones work. ``drop_answers``: requests arrive, what comes back is
    thrown away and the connection closed. ``hold_requests`` and ``hold_answers``: late rather
    than lost, they go on when healed, also where whoever asked has given up or died meanwhile.

    The last three can be aimed at one kind of HTTP request by a pattern for its method and path,
    such as ``POST /attempts/*/commit``.
    """

    def __init__(self, port: int) -> None:
        self._target = port
        self._lock = threading.Condition()
        self._pairs: set[Pair] = set()
        self._stranded: set[Pair] = set()
        self._flows = threading.Event()
        self._flows.set()
        self._is_cut = self._is_closed = False
        self._answers_to_drop, self._drops_to = 0, "*"
        self._holds: dict[bool, str] = {}  # for answers or not: to which requests
        self._holding: set[Pair] = set()
        self._asked: dict[Pair, str] = {}
        self._answered: Counter[str] = Counter()
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

    def drop_answers(self, count: int, *, to: str = "*") -> None:
        """Close the next ``count`` connections on which an answer comes back, without it."""
        with self._lock:
            self._answers_to_drop, self._drops_to = count, to

    def hold_requests(self, *, to: str) -> None:
        """Keep these requests back until healed."""
        with self._lock:
            self._holds[False] = to

    def hold_answers(self, *, to: str) -> None:
        """Keep what comes back to these requests back until healed."""
        with self._lock:
            self._holds[True] = to

    def lose_held(self) -> None:
        """Close the connections on which something is held back, without it."""
        with self._lock:
            self._pairs -= self._holding
            for pair in self._holding:
                hang_up(pair)
            self._holding.clear()
            self._lock.notify_all()

    def heal(self) -> None:
        """End every fault. What a freeze has held for long is lost with its connection."""
        with self._lock:
            was_frozen = not self._flows.is_set()
            self._is_cut, self._answers_to_drop = False, 0
            self._holds.clear()
            self._lock.notify_all()
        if was_frozen:
            self._hang_up()
        self._flows.set()

    @property
    def has_dropped(self) -> bool:
        """Whether every answer that was to be dropped has been."""
        return self._answers_to_drop == 0

    @property
    def is_holding(self) -> bool:
        """Whether a request or an answer is being held back now."""
        return bool(self._holding)

    def count_held(self) -> int:
        """Requests and answers that are being held back now."""
        return len(self._holding)

    def count_answers(self, *, to: str) -> int:
        """Answers to such requests that came back, those included that were not passed on."""
        with self._lock:
            return sum(n for asked, n in self._answered.items() if fnmatchcase(asked, to))

    def ports_beyond(self) -> set[int]:
        """The local ports of its connections to what is behind it."""
        with self._lock:
            return {far.getsockname()[1] for _, far in self._pairs}

    def close(self) -> None:
        """Stop listening and end every connection."""
        self._is_closed = True
        self._listener.close()
        self.heal()
        self._hang_up()

    def _hang_up(self) -> None:
        with self._lock:
            pairs, self._pairs = self._pairs, set()
            self._lock.notify_all()
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

    def _pump(self, source: socket.socket, sink: socket.socket, pair: Pair) -> None:
        is_answer, was_late = source is pair[1], False
        with contextlib.suppress(OSError), self._until_closed(pair):
            while data := received(source):
                self._flows.wait()
                if pair in self._stranded:
                    continue
                if not is_answer and (line := REQUEST_LINE.match(data)):
                    self._asked[pair] = line[1].decode()
                if is_answer and data.startswith(STATUS_LINE):
                    with self._lock:
                        self._answered[self._asked.get(pair, "")] += 1
                if is_answer and self._is_to_be_dropped(pair):
                    return
                was_late |= self._wait_while_held(pair, is_answer=is_answer)
                sink.sendall(data)
            if was_late and not is_answer:
                # Whoever asked is gone; the request is to be heard to its end all the same.
                self._wait_until_closed(pair)

    def _is_to_be_dropped(self, pair: Pair) -> bool:
        with self._lock:
            if self._answers_to_drop == 0 or not self._is_about(pair, self._drops_to):
                return False
            self._answers_to_drop -= 1
            return True

    def _wait_while_held(self, pair: Pair, *, is_answer: bool) -> bool:
        """Whether there was something to wait for."""

        def is_held() -> bool:
            return is_answer in self._holds and self._is_about(pair, self._holds[is_answer])

        with self._lock:
            if not is_held():
                return False
            self._holding.add(pair)
            self._lock.wait_for(lambda: pair not in self._holding or not is_held())
            self._holding.discard(pair)
            return True

    def _wait_until_closed(self, pair: Pair) -> None:
        with self._lock:
            self._lock.wait_for(lambda: pair not in self._pairs)

    def _is_about(self, pair: Pair, to: str) -> bool:
        return fnmatchcase(self._asked.get(pair, ""), to)

    @contextlib.contextmanager
    def _until_closed(self, pair: Pair) -> Iterator[None]:
        try:
            yield
        finally:
            with self._lock:
                self._pairs.discard(pair)
                self._stranded.discard(pair)
                self._holding.discard(pair)
                self._asked.pop(pair, None)
                self._lock.notify_all()
            hang_up(pair)


def received(source: socket.socket) -> bytes:
    """The next piece; nothing at the end, also where the connection was reset."""
    with contextlib.suppress(OSError):
        return source.recv(CHUNK_BYTES)
    return b""


def hang_up(pair: tuple[socket.socket, ...]) -> None:
    """Close connections, waking whoever reads from them."""
    for end in pair:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
        end.close()
