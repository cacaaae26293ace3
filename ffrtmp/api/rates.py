"""How often each caller may ask: a bucket of requests for each, filled at its rate.

Each API process counts for itself.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass

MINUTE_SECONDS = 60.0
MAX_CALLERS = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Requests that are left, as of ``at``."""

    left: float
    at: float

    def filled(self, now: float, *, per_minute: int) -> "Bucket":
        """The same bucket now; it holds a minute's worth."""
        gained = max(0.0, now - self.at) * per_minute / MINUTE_SECONDS
        return Bucket(left=min(float(per_minute), self.left + gained), at=now)


class Rates:
    """Buckets by caller; of the callers that were not heard for longest, those beyond
    ``max_callers`` are forgotten, which costs nobody but them a full bucket."""

    def __init__(self, *, max_callers: int = MAX_CALLERS) -> None:
        self._max_callers = max_callers
        self._buckets: OrderedDict[str, Bucket] = OrderedDict()
        self._lock = threading.Lock()

    def wait_seconds(self, caller: str, *, per_minute: int, now: float) -> float:
        """0, and one request less, or how long the caller must wait for one; ``now`` in seconds
        of a clock that only moves on."""
        with self._lock:
            known = self._buckets.pop(caller, None) or Bucket(left=float(per_minute), at=now)
            bucket = known.filled(now, per_minute=per_minute)
            is_let_in = bucket.left >= 1.0
            if is_let_in:
                bucket = Bucket(left=bucket.left - 1.0, at=now)
            self._buckets[caller] = bucket
            if len(self._buckets) > self._max_callers:
                self._buckets.popitem(last=False)
        return 0.0 if is_let_in else (1.0 - bucket.left) * MINUTE_SECONDS / per_minute

    def __len__(self) -> int:
        return len(self._buckets)
