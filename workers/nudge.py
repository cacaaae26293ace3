"""Listening for the master's nudge, which says only: send your heartbeat now."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

import redis
from redis.exceptions import RedisError

from ffrtmp.broker.link import connect
from ffrtmp.broker.messages import nudge_channel
from workers.backoff import jittered_delays

PING_SECONDS = 10.0
SILENCE_SECONDS = 25.0
log = logging.getLogger(__name__)


class NudgeListener:
    """Subscribes to this node's channel, reconnecting for as long as it runs.

    ``on_nudge`` is called for a nudge and after every connect, because one may have been missed;
    ``on_back`` hears how many seconds the broker was away.
    """

    def __init__(
        self,
        *,
        broker_url: str,
        node_id: str,
        on_nudge: Callable[[], None],
        on_back: Callable[[float], None],
    ) -> None:
        self._broker_url = broker_url
        self._channel = nudge_channel(node_id)
        self._on_nudge = on_nudge
        self._on_back = on_back
        self._connected = threading.Event()

    @property
    def is_connected(self) -> bool:
        """True while the broker answers."""
        return self._connected.is_set()

    def run(self, stop: threading.Event) -> None:
        """Listen until stopped."""
        away_since = time.monotonic()
        said = ""
        delays = jittered_delays(base_seconds=0.3, cap_seconds=3.0)
        while not stop.is_set():
            try:
                self._listen(stop, away_since)
            except (RedisError, OSError) as error:
                if self._connected.is_set() or str(error) != said:
                    said = str(error)
                    log.warning("the broker is away: %s", said)
                if self._connected.is_set():
                    away_since = time.monotonic()
                    delays = jittered_delays(base_seconds=0.3, cap_seconds=3.0)
            self._connected.clear()
            stop.wait(next(delays))

    def _listen(self, stop: threading.Event, away_since: float) -> None:
        with self._client() as client, client.pubsub() as channel:
            channel.subscribe(self._channel)
            heard_at = pinged_at = time.monotonic()
            while not stop.is_set():
                message = channel.get_message(timeout=1.0)
                now = time.monotonic()
                if message is not None:
                    heard_at = now
                    self._receive(message, away_for=now - away_since)
                if now - heard_at > SILENCE_SECONDS:
                    # A half-open connection raises nothing by itself.
                    raise redis.TimeoutError("the broker has gone silent")
                if now - pinged_at > PING_SECONDS:
                    pinged_at = now
                    channel.ping()

    def _receive(self, message: dict[str, Any], *, away_for: float) -> None:
        if message["type"] == "subscribe":
            self._connected.set()
            self._on_back(away_for)
            self._on_nudge()
        elif message["type"] == "message":
            self._on_nudge()

    def _client(self) -> redis.Redis:
        return connect(
            self._broker_url, socket_timeout=10, socket_connect_timeout=5, socket_keepalive=True
        )
