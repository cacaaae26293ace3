"""Nudges: empty pub/sub messages that ask a node to send its heartbeat now.

They say nothing, so whoever can publish one can cause a heartbeat and no more; the order is in
the heartbeat's answer.
"""

import logging
import threading
import time
from collections.abc import Callable

from ffrtmp.broker.messages import nudge_channel
from ffrtmp.domain.errors import Unavailable

INTERVAL_SECONDS = 0.1
"""The least time between two nudges to one node."""
REMEMBERED_NODES = 10_000

log = logging.getLogger(__name__)


class Nudger:
    """Sends nudges from a thread of its own, so that no request waits for the broker.

    Nudges within the interval become one at its end: the last word always goes out, since a
    cancel that came just after the node's heartbeat needs another.
    """

    def __init__(self, publish: Callable[[str], None]) -> None:
        """``publish`` sends an empty message to a channel, and may raise Unavailable."""
        self._publish = publish
        self._wanted: dict[str, float] = {}
        self._sent_at: dict[str, float] = {}
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def nudge(self, node_id: str) -> None:
        """Nudge soon; never raises, never waits."""
        with self._changed:
            if self._is_closed or node_id in self._wanted:
                return
            now = time.monotonic()
            sent_at = self._sent_at.get(node_id, float("-inf"))
            self._wanted[node_id] = max(now, sent_at + INTERVAL_SECONDS)
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="nudger", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """End the thread; nudges not yet sent are dropped."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join(timeout=5)

    def _loop(self) -> None:
        while (node_id := self._next()) is not None:
            try:
                self._publish(nudge_channel(node_id))
            except Unavailable as error:
                log.warning("node %s was not nudged: %s", node_id, error.message)
            except Exception:
                log.exception("node %s was not nudged", node_id)

    def _next(self) -> str | None:
        with self._changed:
            while not self._is_closed:
                now = time.monotonic()
                node_id = min(self._wanted, key=self._wanted.__getitem__, default=None)
                if node_id is not None and self._wanted[node_id] <= now:
                    del self._wanted[node_id]
                    self._remember(node_id, now)
                    return node_id
                self._changed.wait(None if node_id is None else self._wanted[node_id] - now)
            return None

    def _remember(self, node_id: str, now: float) -> None:
        if len(self._sent_at) > REMEMBERED_NODES:
            self._sent_at.clear()
        self._sent_at[node_id] = now
