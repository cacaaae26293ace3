"""The node's side of the broker: nudges, the Celery child, and the watch over it."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ffrtmp.broker.waiting import WaitingHints
from ffrtmp.domain.errors import Unavailable
from workers.child import Child, ChildSettings
from workers.consumption import Consumption
from workers.nudge import NudgeListener
from workers.socket_server import SocketServer

LONG_OUTAGE_SECONDS = 8.0
"""After a longer one Celery's own backoff may have grown to 30 s; a new child needs about one."""
Loop = Callable[[threading.Event], None]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class HintListeners:
    """Who hears that a heartbeat is wanted now, and that the child was replaced."""

    on_nudge: Callable[[], None]
    on_restart: Callable[[], None]


class Hints:
    """Brings hints to the agent's ``socket`` for as long as its loops run and they are wanted."""

    def __init__(
        self,
        settings: ChildSettings,
        *,
        node_id: str,
        socket: SocketServer,
        consumer_timeout_seconds: float,
        listeners: HintListeners,
    ) -> None:
        self._settings = settings
        self._socket = socket
        self._child = Child(settings, on_restart=listeners.on_restart)
        self._waiting = WaitingHints(settings.broker_url, settings.queue_names)
        self._nudges = NudgeListener(
            broker_url=settings.broker_url,
            node_id=node_id,
            on_nudge=listeners.on_nudge,
            on_back=self._on_broker_back,
        )
        self._consumption = Consumption(
            patience_seconds=consumer_timeout_seconds,
            has_room=self._child_has_room,
            hints_wait=self._hints_wait,
            taken=lambda: self._socket.heard,
            child=lambda: self._child.started_at,
            give_up=lambda: self._child.restart(is_fault=True),
        )

    @property
    def loops(self) -> tuple[tuple[str, Loop], ...]:
        """Name and body of each thread this needs; ``child`` is to be waited for."""
        return (
            ("nudges", self._nudges.run),
            ("child", self._child.run),
            ("consumption", self._consumption.run),
        )

    @property
    def arrive(self) -> bool:
        """False where the node has to ask for work by itself."""
        return (
            self._nudges.is_connected
            and self._child.is_running
            and not self._child.is_failing
            and not self._consumption.is_in_doubt
        )

    @property
    def child_faults(self) -> int:
        """How often lately the child ended by itself, or was given up on."""
        return self._child.faults

    def want(self, is_wanted: bool) -> None:
        """Whether hints are to be taken."""
        self._child.want(is_wanted)

    def load(self) -> dict[str, Any]:
        """What heartbeats say of it."""
        return {"takes_hints": self.arrive, "child_faults": self.child_faults}

    def close(self) -> None:
        """Close what the loops leave open."""
        self._waiting.close()

    def _child_has_room(self) -> bool:
        return self._child.is_running and self._socket.held < self._settings.concurrency

    def _hints_wait(self) -> bool:
        try:
            return self._waiting.any()
        except Unavailable:
            return False

    def _on_broker_back(self, away_seconds: float) -> None:
        if away_seconds > LONG_OUTAGE_SECONDS:
            log.info("the broker is back after %.0f s; restarting the Celery child", away_seconds)
            self._child.restart()
