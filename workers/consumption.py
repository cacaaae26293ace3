"""Seeing that the Celery child takes the hints that wait for it."""

import logging
import threading
from collections.abc import Callable, Hashable

LOOKS = 5
MOST_LOOKS = 8 * LOOKS
log = logging.getLogger(__name__)


class Consumption:
    """Judges the child by its queues, not by what it says or by its process being there.

    A child with room is blocked on its queues, so whatever waits in one is taken at once. Where
    hints wait at ``LOOKS`` looks in a row, ``patience_seconds`` in all, and nothing was taken in
    between, the child does not consume: stopped, cut off, or deaf after a reconnect. Each child
    given up on doubles the patience with the next, up to eightfold, until one takes something:
    on a starved host a child may take long to start.
    """

    def __init__(
        self,
        *,
        patience_seconds: float,
        has_room: Callable[[], bool],
        hints_wait: Callable[[], bool],
        taken: Callable[[], int],
        child: Callable[[], Hashable],
        give_up: Callable[[], None],
    ) -> None:
        """``has_room``: a child is there and could take a hint; ``taken`` grows with whatever one
        takes; ``child`` says which one it is; ``give_up`` replaces it."""
        self._pause_seconds = patience_seconds / LOOKS
        self._has_room = has_room
        self._hints_wait = hints_wait
        self._taken = taken
        self._child = child
        self._give_up = give_up
        self._last: tuple[int, Hashable] = (taken(), None)
        self._idle_looks = 0
        self._looks_allowed = LOOKS

    @property
    def is_in_doubt(self) -> bool:
        """True from the first look at which hints waited for a child with room."""
        return self._idle_looks > 0

    def run(self, stop: threading.Event) -> None:
        """Look until stopped."""
        while not stop.wait(self._pause_seconds):
            self.look()

    def look(self) -> bool:
        """Look once; whether the child was given up on."""
        now = (self._taken(), self._child())
        if now[0] != self._last[0]:
            self._looks_allowed = LOOKS
        is_idle = self._has_room() and now == self._last and self._hints_wait()
        self._last = now
        self._idle_looks = self._idle_looks + 1 if is_idle else 0
        if self._idle_looks < self._looks_allowed:
            return False
        log.warning("hints wait, the Celery child has room and takes none; replacing it")
        self._idle_looks = 0
        self._looks_allowed = min(2 * self._looks_allowed, MOST_LOOKS)
        self._give_up()
        return True
