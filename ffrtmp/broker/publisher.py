"""Rings hosts through Redis: the broker's side of ``ffrtmp.services.bell.Bell``."""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from kombu.exceptions import KombuError
from redis.exceptions import RedisError

from ffrtmp.broker.app import publisher_app
from ffrtmp.broker.messages import HINT_TASK, hint_kwargs
from ffrtmp.broker.nudges import Nudger
from ffrtmp.domain.errors import Unavailable
from ffrtmp.domain.hint import Hint

MUTE_SECONDS = 1.0
"""After a ring that failed the next ones fail at once for this long; the top-up makes up for it."""
PUSH_BATCH = 1000

log = logging.getLogger(__name__)


class RedisBell:
    """A bell for any number of threads. Nothing is connected before the first ring."""

    def __init__(
        self,
        broker_url: str,
        *,
        window: int,
        timeout_seconds: float = 1.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """``window`` is how many hints a queue holds before rings stop adding to it."""
        self._app = publisher_app(broker_url, timeout_seconds=timeout_seconds)
        self._window = window
        self._monotonic = monotonic
        self._muted_until = float("-inf")
        self._nudger = Nudger(self._publish)

    def ring(self, hint: Hint) -> bool:
        """Push one hint; False if its queue is at its window or, logged, if the broker fails."""
        if self._monotonic() < self._muted_until:
            return False
        try:
            with self._producer() as producer:
                if _length(producer, hint.queue_name) >= self._window:
                    return False
                self._send(producer, hint)
                return True
        except Unavailable as error:
            self._muted_until = self._monotonic() + MUTE_SECONDS
            log.warning("the hint for job %s was not sent: %s", hint.job_id, error.message)
            return False

    def waiting(self, queue_name: str) -> int:
        """Hints in a queue over all its priorities; Unavailable if the broker does not answer."""
        with self._producer() as producer:
            return _length(producer, queue_name)

    def push(self, hints: Sequence[Hint]) -> int:
        """Push all in the order given, in few round trips; Unavailable if the broker fails.

        After a failure an unknown part of them may be in the queues all the same.
        """
        if not hints:
            return 0
        with self._producer() as producer, producer.batch(max_size=PUSH_BATCH):
            for hint in hints:
                self._send(producer, hint)
        return len(hints)

    def nudge(self, node_id: str) -> None:
        """Ask a node for its heartbeat; returns at once, at most ten a second go out per node."""
        self._nudger.nudge(node_id)

    def close(self) -> None:
        """Close the connections; the bell must not be used afterwards."""
        self._nudger.close()
        self._app.close()

    def _send(self, producer: Any, hint: Hint) -> None:
        self._app.send_task(
            HINT_TASK,
            kwargs=hint_kwargs(hint),
            queue=hint.queue_name,
            priority=hint.rank,
            producer=producer,
            retry=False,
            ignore_result=True,
            # Direct messages need no binding in Redis, and the list appears with its first one.
            declare=[],
            argsrepr="()",
            add_to_parent=False,
        )

    def _publish(self, channel: str) -> None:
        with self._producer() as producer, producer.channel.conn_or_acquire() as client:
            client.publish(channel, b"")

    @contextmanager
    def _producer(self) -> Iterator[Any]:
        try:
            with self._app.producer_or_acquire() as producer:
                yield producer
        except (KombuError, RedisError, OSError) as error:
            raise Unavailable(f"the broker does not answer: {error}") from error


def _length(producer: Any, queue_name: str) -> int:
    # Declaring creates nothing in Redis; it answers LLEN summed over the queue's nine lists.
    declared = producer.channel.queue_declare(queue_name)
    return int(declared.message_count)
