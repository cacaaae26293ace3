"""The node's side of the broker: nudges, and a Celery child for each pool of slots."""

import logging
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from workers.carrier import Carrier, NamedLoop
from workers.child import ChildSettings
from workers.nudge import NudgeListener
from workers.pools import Pool
from workers.socket_server import SocketServer

LONG_OUTAGE_SECONDS = 8.0
"""After a longer one Celery's own backoff may have grown to 30 s; a new child needs about one."""
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HintListeners:
    """Who hears that a heartbeat is wanted now, and that a child was replaced."""

    on_nudge: Callable[[], None]
    on_restart: Callable[[], None]


class Hints:
    """Brings hints to the agent's ``socket`` for as long as its loops run and they are wanted."""

    def __init__(
        self,
        children: Sequence[ChildSettings],
        *,
        broker_url: str,
        node_id: str,
        socket: SocketServer,
        consumer_timeout_seconds: float,
        listeners: HintListeners,
    ) -> None:
        """``children``: one for each pool that has slots."""
        carrier = partial(
            Carrier,
            socket=socket,
            consumer_timeout_seconds=consumer_timeout_seconds,
            on_restart=listeners.on_restart,
        )
        self._carriers = {settings.pool: carrier(settings) for settings in children}
        self._nudges = NudgeListener(
            broker_url=broker_url,
            node_id=node_id,
            on_nudge=listeners.on_nudge,
            on_back=self._on_broker_back,
        )

    @property
    def child_loops(self) -> tuple[NamedLoop, ...]:
        """Each thread that keeps a child: to be waited for."""
        return tuple(carrier.child_loop for carrier in self._carriers.values())

    @property
    def loops(self) -> tuple[NamedLoop, ...]:
        """Each other thread this needs."""
        watches = (carrier.watch_loop for carrier in self._carriers.values())
        return (("nudges", self._nudges.run), *watches)

    def arrive(self, pool: Pool) -> bool:
        """False where the node has to ask for a pool's work by itself."""
        return self._nudges.is_connected and self._carriers[pool].is_working

    @property
    def all_arrive(self) -> bool:
        """True while hints are wanted, and arrive wherever they are."""
        wanted = [pool for pool, carrier in self._carriers.items() if carrier.is_wanted]
        return bool(wanted) and all(self.arrive(pool) for pool in wanted)

    @property
    def child_faults(self) -> int:
        """How often lately a child ended by itself, or was given up on."""
        return sum(carrier.faults for carrier in self._carriers.values())

    def want(self, pools: Collection[Pool]) -> None:
        """Whose hints are to be taken."""
        for pool, carrier in self._carriers.items():
            carrier.want(pool in pools)

    def load(self) -> dict[str, Any]:
        """What heartbeats say of it."""
        return {"takes_hints": self.all_arrive, "child_faults": self.child_faults}

    def close(self) -> None:
        """Close what the loops leave open."""
        for carrier in self._carriers.values():
            carrier.close()

    def _on_broker_back(self, away_seconds: float) -> None:
        if away_seconds > LONG_OUTAGE_SECONDS:
            log.info("the broker is back after %.0f s; restarting the Celery child", away_seconds)
            for carrier in self._carriers.values():
                carrier.restart()
