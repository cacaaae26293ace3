"""The agent's ear: a Unix socket on which the Celery child speaks, one line per connection."""

import contextlib
import json
import logging
import os
import select
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from workers.pools import Pool
from workers.threads import start_thread
from workers.unix_path import short_path

SOCKET_FILE = "agent.sock"
MAX_LINE_BYTES = 4096
LINE_SECONDS = 5.0
UNREADABLE = (
    OSError,
    ValueError,
    KeyError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HintLine:
    """What the child of a pool says of one message; ``trace_parent`` is the message's, a W3C
    traceparent."""

    job_id: str
    rank: int
    pool: Pool
    trace_parent: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DroppedLine:
    """The child has thrown away messages that are no hints of this release."""

    count: int
    pool: Pool


class SocketServer:
    """Serves each connection on a thread; closing the connection tells the child it is over.

    Attributes: ``heard``, lines read so far from the child of each pool; ``held``, those of them
    that are being served now.
    """

    def __init__(
        self,
        state_folder: Path,
        *,
        take_hint: Callable[[HintLine, Callable[[], bool]], None],
        on_dropped: Callable[[int], None],
    ) -> None:
        self.path = path = state_folder.absolute() / SOCKET_FILE
        self._take_hint = take_hint
        self._on_dropped = on_dropped
        self._counting = threading.Lock()
        self.heard: Counter[Pool] = Counter()
        self.held: Counter[Pool] = Counter()
        self._is_closed = False
        path.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        with short_path(path) as name:
            self._listener.bind(name)
        path.chmod(0o600)
        self._listener.listen(64)

    def run(self, stop: threading.Event) -> None:
        """Accept until stopped or closed."""
        while not stop.is_set():
            try:
                ready, _, _ = select.select([self._listener], [], [], 0.5)
                connection = self._listener.accept()[0] if ready else None
            except (OSError, ValueError):
                if self._is_closed:
                    return
                raise
            if connection is not None:
                start_thread("hint", partial(self._serve, connection))

    def close(self) -> None:
        """Stop listening and remove the socket."""
        self._is_closed = True
        self._listener.close()
        self.path.unlink(missing_ok=True)

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            line = _read_line(connection)
            if line is None:
                return
            with self._counted(line.pool):
                if isinstance(line, HintLine):
                    self._take_hint(line, lambda: _is_open(connection))
                else:
                    self._on_dropped(line.count)

    @contextlib.contextmanager
    def _counted(self, pool: Pool) -> Iterator[None]:
        with self._counting:
            self.heard[pool] += 1
            self.held[pool] += 1
        try:
            yield
        finally:
            with self._counting:
                self.held[pool] -= 1


def _read_line(connection: socket.socket) -> HintLine | DroppedLine | None:
    if _peer_user(connection) != os.geteuid():
        return None
    connection.settimeout(LINE_SECONDS)
    try:
        with connection.makefile("rb") as file:
            said = json.loads(file.readline(MAX_LINE_BYTES))
        pool = Pool(said["pool"])
        if "dropped" in said:
            return DroppedLine(count=max(0, int(said["dropped"])), pool=pool)
        trace_parent = said.get("trace_parent")
        return HintLine(
            job_id=str(said["job_id"])[:255],
            rank=int(said["rank"]),
            pool=pool,
            trace_parent=None if trace_parent is None else str(trace_parent),
        )
    except UNREADABLE as error:
        log.warning("a line of the Celery child that cannot be read: %s", error)
        return None


def _peer_user(connection: socket.socket) -> int:
    size = struct.calcsize("3i")
    credentials = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    return int(struct.unpack("3i", credentials)[1])


def _is_open(connection: socket.socket) -> bool:
    """False once the child has hung up."""
    ready, _, _ = select.select([connection], [], [], 0)
    if not ready:
        return True
    try:
        return connection.recv(1, socket.MSG_PEEK) != b""
    except OSError:
        return False
