"""What a worker of the master did not take from the broker: counted, and said now and then."""

import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping

from ffrtmp.broker.admission import Refused

SAID_SECONDS = 10.0
"""The least time between two lines of the log about refused messages."""
FLOOD = "flood"

log = logging.getLogger(__name__)


class Refusals:
    """Refused messages by reason; any thread may note one."""

    def __init__(self, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._counted: Counter[str] = Counter()
        self._unsaid: Counter[str] = Counter()
        self._said_at = float("-inf")

    def on_rejected(self, exc: object = None, **_signal: object) -> None:
        """Receive Celery's signal for a message that is no task."""
        self.note(exc.reason if isinstance(exc, Refused) else "form")

    def note(self, reason: str) -> None:
        """One more."""
        with self._lock:
            self._counted[reason] += 1
            self._unsaid[reason] += 1
            if self._monotonic() - self._said_at < SAID_SECONDS:
                return
            said, self._unsaid = self._unsaid, Counter()
            self._said_at = self._monotonic()
        log.warning("refused messages from the broker: %s", dict(said))

    def take(self) -> Mapping[str, int]:
        """How many there were since this was last asked."""
        with self._lock:
            taken, self._counted = self._counted, Counter()
            return taken


class Paced:
    """What a message asks for, at most once in ``gap_seconds`` however many ask."""

    def __init__(
        self,
        act: Callable[[], None],
        *,
        gap_seconds: float,
        refusals: Refusals,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._act = act
        self._gap_seconds = gap_seconds
        self._refusals = refusals
        self._monotonic = monotonic
        self._began_at = float("-inf")

    def __call__(self) -> None:
        """Act, or count the message as one too many."""
        now = self._monotonic()
        if now - self._began_at < self._gap_seconds:
            self._refusals.note(FLOOD)
            return
        self._began_at = now
        self._act()
