"""Where wrong credentials come from; a bounded table, as each API process sees it."""

import threading
from collections import OrderedDict
from dataclasses import replace

from ffrtmp.domain.suspects import Suspect

MAX_SUSPECTS = 10_000


class Suspects:
    """By address; beyond ``max_suspects`` those that were quiet for longest are forgotten."""

    def __init__(self, *, max_suspects: int = MAX_SUSPECTS) -> None:
        self._max_suspects = max_suspects
        self._known: OrderedDict[str, Suspect] = OrderedDict()
        self._lock = threading.Lock()

    def is_guesser(self, address: str) -> bool:
        """Whether there were so many wrong ones that it had to wait before."""
        with self._lock:
            known = self._known.get(address)
        return known is not None and known.waits > 0

    def turn(self, address: str, *, now: float) -> float:
        """How long a guesser waits for the next credential to be looked at; 0 takes that turn.

        Whoever asks at the same time waits: the turn counts as wrong until ``note_right``.
        """
        with self._lock:
            known = self._known.get(address)
            wait_seconds = 0.0 if known is None else known.wait_seconds(now)
            if wait_seconds == 0.0:
                self._add_wrong(address, now)
            return wait_seconds

    def note_wrong(self, address: str, *, now: float) -> None:
        """A credential from there was looked at and was wrong."""
        with self._lock:
            self._add_wrong(address, now)

    def note_right(self, address: str, *, now: float) -> None:
        """The turn was one of a right credential: the next need not wait."""
        with self._lock:
            known = self._known.get(address)
            if known is not None:
                self._known[address] = replace(known, until=now)

    def _add_wrong(self, address: str, now: float) -> None:
        known = self._known.pop(address, None) or Suspect(since=now, last=now)
        self._known[address] = known.after_wrong(now)
        if len(self._known) > self._max_suspects:
            self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)
