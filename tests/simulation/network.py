"""The network between the API and whoever asks it: requests get lost, late, or there twice."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from ffrtmp.domain.errors import FarmError, Unavailable
from tests.simulation.database import Died

T = TypeVar("T")
Request = Callable[[], object]

LOST, LATE, DOUBLED, ANSWER_LOST = 0.02, 0.02, 0.03, 0.05
STORM = 5
"""How much more often all of that happens in a storm."""
LATE_SECONDS = (0.5, 5.0, 30.0, 100.0)


class Unreachable(Exception):  # noqa: N818
    """No answer: the request may have been carried out, or may be later, or twice."""


@dataclass
class Network:
    """Carries requests. A request is a closure over values alone, since it may run much later."""

    rng: random.Random
    after: Callable[[float, Callable[[], None]], None]
    api_is_up: bool = True
    is_stormy: bool = False
    late: list[Request] = field(default_factory=list)
    """On the way, though whoever sent them waits no more."""

    def call(self, request: Callable[[], T], *, can_reach: Callable[[], bool]) -> T:
        """What the API answers; Unreachable where nobody knows what became of the request."""
        if not (self.api_is_up and can_reach()) or self._happens(LOST):
            raise Unreachable
        if self._happens(LATE):
            self.send_late(request)
            raise Unreachable
        if self._happens(DOUBLED):
            self.send_late(request)
        try:
            answer = request()
        except (Unavailable, Died):
            raise Unreachable from None
        except FarmError:
            if self._happens(ANSWER_LOST):
                raise Unreachable from None
            raise
        if self._happens(ANSWER_LOST):
            raise Unreachable
        return answer

    def deliver_one_of_the_late(self) -> None:
        """At this very moment, whatever happens."""
        if self.late:
            self._arrive(self.rng.choice(self.late))

    def send_late(self, request: Request) -> None:
        """On its way for a while, with nobody who waits for its answer."""
        # Wrapped, so that the same request on its way twice is two.
        one = lambda: request()  # noqa: E731
        self.late.append(one)
        seconds = self.rng.choice(LATE_SECONDS) * (0.5 + self.rng.random())
        self.after(seconds, lambda: self._arrive(one))

    def _arrive(self, request: Request) -> None:
        if request not in self.late:
            return
        self.late.remove(request)
        if not self.api_is_up:
            return
        try:
            request()
        except (FarmError, Died):
            return  # nobody hears the answer

    def _happens(self, chance: float) -> bool:
        return self.rng.random() < chance * (STORM if self.is_stormy else 1)
