"""One pool's Celery child, and the watch over it."""

import threading
from collections.abc import Callable

from ffrtmp.broker.waiting import WaitingHints
from ffrtmp.domain.errors import Unavailable
from workers.child import Child, ChildSettings
from workers.consumption import Consumption
from workers.pools import Pool
from workers.socket_server import SocketServer

NamedLoop = tuple[str, Callable[[threading.Event], None]]


class Carrier:
    """Brings one pool's hints to the agent's ``socket`` while they are wanted."""

    def __init__(
        self,
        settings: ChildSettings,
        *,
        socket: SocketServer,
        consumer_timeout_seconds: float,
        on_restart: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._socket = socket
        self._is_wanted = True
        self._child = Child(settings, on_restart=on_restart)
        self._waiting = WaitingHints(settings.broker_url, settings.queue_names)
        self._consumption = Consumption(
            patience_seconds=consumer_timeout_seconds,
            has_room=self._child_has_room,
            hints_wait=self._hints_wait,
            taken=lambda: self._socket.heard[self.pool],
            child=lambda: self._child.started_at,
            give_up=lambda: self._child.restart(is_fault=True),
        )

    @property
    def pool(self) -> Pool:
        """Whose hints it brings."""
        return self._settings.pool

    @property
    def child_loop(self) -> NamedLoop:
        """The thread that keeps the child: to be waited for."""
        return f"child {self.pool}", self._child.run

    @property
    def watch_loop(self) -> NamedLoop:
        """The thread that watches it."""
        return f"consumption {self.pool}", self._consumption.run

    @property
    def is_wanted(self) -> bool:
        """True while hints are to be taken."""
        return self._is_wanted

    @property
    def is_working(self) -> bool:
        """True while a child takes hints, as far as one can tell without the broker."""
        return (
            self._child.is_running
            and not self._child.is_failing
            and not self._consumption.is_in_doubt
        )

    @property
    def faults(self) -> int:
        """How often lately the child ended by itself, or was given up on."""
        return self._child.faults

    def want(self, is_wanted: bool) -> None:
        """Whether hints are to be taken."""
        self._is_wanted = is_wanted
        self._child.want(is_wanted)

    def restart(self) -> None:
        """Replace the child."""
        self._child.restart()

    def close(self) -> None:
        """Close what the loops leave open."""
        self._waiting.close()

    def _child_has_room(self) -> bool:
        return self._child.is_running and self._socket.held[self.pool] < self._settings.concurrency

    def _hints_wait(self) -> bool:
        try:
            return self._waiting.any()
        except Unavailable:
            return False
