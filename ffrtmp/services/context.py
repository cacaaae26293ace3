"""What every service is given: the store, the bell, the rules, and the world as functions."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.services.bell import Bell
from ffrtmp.store.engine import Store, Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Context:
    """``now`` is aware UTC, ``new_id`` a UUIDv7, ``fraction`` uniform in [0, 1)."""

    store: Store
    bell: Bell
    policy: FarmPolicy
    now: Callable[[], datetime]
    new_id: Callable[[], str]
    new_secret: Callable[[], str]
    fraction: Callable[[], float]

    def farm_seconds(self, tx: Transaction) -> float:
        """Farm time at this moment, for stamps: see FarmClock.reading."""
        return tx.clock.read().reading(
            self.now(), max_advance_seconds=self.policy.max_advance_seconds
        )
