"""What one API process bears at this moment, and what it refuses to bear besides."""

import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from ffrtmp.api.rates import Rates
from ffrtmp.config.limits import Limits
from ffrtmp.domain.access import ANYONE, Caller
from ffrtmp.domain.errors import TooMany
from ffrtmp.domain.node import Node

SEAT_SECONDS = 10.0
BUSY_SECONDS = 2.0
"""After how long a request is asked again for which there was no room."""


@dataclass(slots=True, kw_only=True)
class Load:
    """Counts who asks and what is held for them. TooMany where that is more than ``limits``."""

    limits: Limits
    now: Callable[[], float] = time.monotonic
    body_bytes: int = 0
    followers: Counter[str] = field(default_factory=Counter)
    """Streams of events by key."""
    _callers: Rates = field(default_factory=Rates)
    _strangers: Rates = field(default_factory=Rates)

    def admit(self, speaker: Caller | Node, *, address: str) -> None:
        """One request of this speaker; where nobody is known each address is one."""
        if isinstance(speaker, Node):
            caller, per_minute = f"node {speaker.id}", self.limits.node_requests_per_minute
        else:
            who = address if speaker == ANYONE else speaker.name
            caller, per_minute = f"key {who}", self.limits.requests_per_minute
        self._admit(self._callers, caller, per_minute)

    def admit_stranger(self, address: str) -> None:
        """One request from this address, without a credential."""
        self._admit(self._strangers, address, self.limits.anonymous_requests_per_minute)

    @contextmanager
    def holding(self, body_bytes: int) -> Iterator[None]:
        """Room for a body, from before it is read until its request is answered."""
        # One body is always taken, or a limit below its size would refuse it for ever.
        if self.body_bytes and self.body_bytes + body_bytes > self.limits.body_bytes:
            raise TooMany(
                "too many large bodies at once; send it again", retry_after_seconds=BUSY_SECONDS
            )
        self.body_bytes += body_bytes
        try:
            yield
        finally:
            self.body_bytes -= body_bytes

    @contextmanager
    def following(self, key: str) -> Iterator[None]:
        """A seat for a stream of events."""
        most, most_of_key = self.limits.followers, self.limits.followers_per_key
        if self.followers.total() >= most or self.followers[key] >= most_of_key:
            raise TooMany(
                f"at most {most_of_key} streams of a key, {most} of all; end one first",
                retry_after_seconds=SEAT_SECONDS,
            )
        self.followers[key] += 1
        try:
            yield
        finally:
            self.followers[key] -= 1
            if not self.followers[key]:
                del self.followers[key]

    def _admit(self, rates: Rates, caller: str, per_minute: int) -> None:
        wait_seconds = rates.wait_seconds(caller, per_minute=per_minute, now=self.now())
        if wait_seconds > 0:
            raise TooMany(
                f"more than {per_minute} requests a minute; wait a little",
                retry_after_seconds=wait_seconds,
            )
