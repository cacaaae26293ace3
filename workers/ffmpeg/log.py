"""An attempt's log, bounded: the beginning and the end are kept, the cut between them is said."""

import threading
from typing import Final

DEFAULT_LIMIT_BYTES: Final = 1 << 20


class BoundedLog:
    """Text of any length in memory of a fixed size; safe to append to and read from any thread.

    The first half of ``limit_bytes`` (of UTF-8) and the last half are kept. ``also`` is given
    the same text.
    """

    def __init__(
        self, limit_bytes: int = DEFAULT_LIMIT_BYTES, *, also: "BoundedLog | None" = None
    ) -> None:
        self._also = also
        self._half = max(limit_bytes // 2, 4)
        self._head = bytearray()
        self._head_is_full = False
        self._tail = bytearray()
        self._dropped_bytes = 0
        self._lock = threading.Lock()

    def append(self, text: str) -> None:
        """Add text to the end."""
        if self._also is not None:
            self._also.append(text)
        data = text.encode("utf-8", "replace")
        with self._lock:
            if not self._head_is_full:
                data = self._fill_head(data)
            for start in range(0, len(data), self._half):
                self._tail += data[start : start + self._half]
                if len(self._tail) > 2 * self._half:
                    self._drop(len(self._tail) - self._half)

    def text(self) -> str:
        """What is kept, with one line in between that says how much is not."""
        with self._lock:
            head = self._head.decode()
            excess = max(0, len(self._tail) - self._half)
            cut = self._boundary(self._tail, excess, forward=True)
            tail = self._tail[cut:].decode()
            missing = self._dropped_bytes + cut
        if not missing:
            return head + tail
        return f"{head}\n[... {missing:,} bytes cut ...]\n{tail}"

    def tail(self, lines: int) -> str:
        """The last lines of the text."""
        return "\n".join(self.text().splitlines()[-lines:]) if lines > 0 else ""

    def head_since(self, offset: int) -> str:
        """The characters of the head from ``offset`` on: what to stream while the log grows.

        Once the head is full nothing more comes; the end is known when the log is.
        """
        with self._lock:
            return self._head.decode()[offset:]

    def _fill_head(self, data: bytes) -> bytes:
        room = self._half - len(self._head)
        if len(data) <= room:
            self._head += data
            return b""
        cut = self._boundary(data, room, forward=False)
        self._head += data[:cut]
        self._head_is_full = True
        return data[cut:]

    def _drop(self, count: int) -> None:
        cut = self._boundary(self._tail, count, forward=True)
        del self._tail[:cut]
        self._dropped_bytes += cut

    @staticmethod
    def _boundary(data: bytes | bytearray, index: int, *, forward: bool) -> int:
        """The nearest index where a UTF-8 character begins, or the end of the data."""
        while 0 < index < len(data) and data[index] & 0xC0 == 0x80:
            index += 1 if forward else -1
        return index
