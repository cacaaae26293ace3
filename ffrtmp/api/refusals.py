"""Who was not let in: counted at once, logged and written to the history in bounds.

Whoever has no credential must not be able to fill a log or a table: of each address one event a
minute is written, which sums up, and of all of them a few.
"""

import asyncio
import logging
import threading
from collections import Counter as Counts
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from prometheus_client import Counter
from starlette.concurrency import run_in_threadpool

from ffrtmp.domain.access import Refusal
from ffrtmp.domain.errors import FarmError
from ffrtmp.services.access import Refused
from ffrtmp.services.farm import Farm

log = logging.getLogger(__name__)

WRITE_SECONDS = 1.0
"""Between looks whether there is something to write."""
MINUTE_SECONDS = 60.0
EVENTS_PER_MINUTE = 30
MAX_ADDRESSES = 1000
MAX_NAMES = 5
LINES_PER_SECOND = 5


@dataclass(slots=True)
class _Tally:
    """What was refused at one address and is not in the history yet."""

    due_at: float
    reasons: Counts[Refusal] = field(default_factory=Counts)
    names: set[str] = field(default_factory=set)
    addresses: int = 1

    def add(self, reasons: Counts[Refusal], names: set[str]) -> None:
        """More of it."""
        self.reasons.update(reasons)
        self.names |= set(sorted(names)[: max(0, MAX_NAMES - len(self.names))])

    def said(self, address: str | None) -> Refused:
        """As it is written."""
        return Refused(
            address=address,
            addresses=self.addresses,
            reasons={reason: self.reasons[reason] for reason in sorted(self.reasons)},
            names=tuple(sorted(self.names)),
        )


class Refusals:
    """Of one API process; safe to share between threads. ``now`` only moves on, in seconds."""

    def __init__(self, *, counter: Counter, now: Callable[[], float]) -> None:
        self._counter = counter
        self._now = now
        self._lock = threading.Lock()
        self._tallies: dict[str, _Tally] = {}
        self._others = _Tally(due_at=0.0, addresses=0)
        self._minute_ends, self._left = 0.0, EVENTS_PER_MINUTE
        self._second_ends, self._lines, self._unsaid = 0.0, 0, 0

    def note(self, reason: Refusal, *, address: str, name: str | None, route: str) -> None:
        """One refusal. ``name`` is the key's or node's, where it is known whose it was."""
        self._counter.labels(reason=reason).inc()
        names = set() if name is None else {name}
        with self._lock:
            if address not in self._tallies and len(self._tallies) >= MAX_ADDRESSES:
                self._add_to_others(_Tally(0.0, Counts({reason: 1}), names))
            else:
                tally = self._tallies.setdefault(address, _Tally(due_at=self._now()))
                tally.add(Counts({reason: 1}), names)
            line = self._line(reason, address, name, route)
        if line is not None:
            log.warning("%s", line)

    def due(self) -> Sequence[Refused]:
        """What is to be written now; it counts as written."""
        now = self._now()
        with self._lock:
            if now >= self._minute_ends:
                self._minute_ends, self._left = now + MINUTE_SECONDS, EVENTS_PER_MINUTE
            found = [one for one in self._written(now) if one.reasons]
            if self._others.reasons and now >= self._others.due_at:
                found.append(self._others.said(None))
                self._others = _Tally(due_at=now + MINUTE_SECONDS, addresses=0)
            return found

    def put_back(self, unwritten: Sequence[Refused]) -> None:
        """These could not be written; they go into a later event."""
        with self._lock:
            for one in unwritten:
                tally = _Tally(0.0, Counts(one.reasons), set(one.names), one.addresses)
                self._add_to_others(tally)

    def _written(self, now: float) -> Sequence[Refused]:
        found = []
        for address, tally in list(self._tallies.items()):
            if tally.due_at > now:
                continue
            del self._tallies[address]
            if not tally.reasons:
                continue
            if self._left > 0:
                self._left -= 1
                found.append(tally.said(address))
                # Stays, empty, so that its next event is a minute from now.
                self._tallies[address] = _Tally(due_at=now + MINUTE_SECONDS)
            else:
                self._add_to_others(tally)
        return found

    def _add_to_others(self, tally: _Tally) -> None:
        self._others.add(tally.reasons, tally.names)
        self._others.addresses += tally.addresses

    def _line(self, reason: Refusal, address: str, name: str | None, route: str) -> str | None:
        now = self._now()
        if now >= self._second_ends:
            self._second_ends, self._lines = now + 1.0, 0
        self._lines += 1
        if self._lines > LINES_PER_SECOND:
            self._unsaid += 1
            return None
        more, self._unsaid = self._unsaid, 0
        whose = f" ({name})" if name else ""
        unsaid = f"; {more} more before it" if more else ""
        return f"refused {route} from {address}: {reason}{whose}{unsaid}"


async def keep_history(farm: Farm, refusals: Refusals) -> None:
    """Write what is due, again and again."""
    while True:
        await run_in_threadpool(write_due, farm, refusals)
        await asyncio.sleep(WRITE_SECONDS)


def write_due(farm: Farm, refusals: Refusals) -> None:
    """Write what is due to the history; what cannot be written now is kept for later."""
    due = refusals.due()
    if not due:
        return
    try:
        farm.access.note_refused(due)
    except FarmError as error:
        log.warning("what was refused is not in the history yet: %s", error)
        refusals.put_back(due)
    except Exception:
        log.exception("what was refused is not in the history yet")
        refusals.put_back(due)
