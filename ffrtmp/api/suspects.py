"""Where wrong credentials come from; a bounded table, as each API process sees it."""

import threading
from collections import OrderedDict

from ffrtmp.domain.suspects import Suspect

MAX_SUSPECTS = 10_000


class Suspects:
    """By address; beyond ``max_suspects`` those that were quiet for longest are forgotten."""

    def __init__(self, *, max_suspects: int = MAX_SUSPECTS) -> None:
        self._max_suspects = max_suspects
        self._known: OrderedDict[str, Suspect] = OrderedDict()
        self._lock = threading.Lock()

    def wait_seconds(self, address: str, *, now: float) -> float:
        """How long nothing from there is looked at that may be a guess; 0 where everything is."""
        with self._lock:
            known = self._known.get(address)
        return 0.0 if known is None else known.wait_seconds(now)

    def note_wrong(self, address: str, *, now: float) -> None:
        """A credential from there was looked at and was wrong."""
        with self._lock:
            known = self._known.pop(address, None) or Suspect(since=now, last=now)
            self._known[address] = known.after_wrong(now)
            if len(self._known) > self._max_suspects:
                self._known.popitem(last=False)

    def __len__(self) -> int:
        return len(self._known)
