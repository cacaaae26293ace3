"""kombu's transport as the farm uses it: verified, without scripts, and with a door.

A message is gone from the broker once it was taken: reconcile rings again for whatever work has
no hint, so nothing is put back, and no list is kept of what might have to be. What a worker
writes is events and the answers to those who look; it can send no message anywhere else.
"""

import json
from collections.abc import Mapping
from queue import Empty
from typing import Any

from celery import signals
from celery.worker.control import Panel
from kombu.transport import redis as kombu_redis

from ffrtmp.broker.admission import (
    CONTROL_TASKS,
    NODE_TASKS,
    REPLIES,
    Judge,
    Refused,
    admitted_command,
    admitted_task,
)
from ffrtmp.broker.link import VerifiedConnection

REPLY_MILLISECONDS = 60_000
"""How long an answer waits for whoever asked."""


class Channel(kombu_redis.Channel):
    """kombu's, over verified connections; each queue is where its name says."""

    connection_class_ssl = VerifiedConnection
    do_restore = False

    def _queue_bind(self, exchange: str, routing_key: str, _pattern: str, queue: str) -> None:
        # Where messages go is known without a table of it in the broker.
        exchange_type = self.typeof(exchange).type  # type: ignore[no-untyped-call]
        if exchange_type == "fanout":
            self._fanout_queues[queue] = (exchange, routing_key.replace("#", "*"))

    def _lookup(self, exchange: str, routing_key: str, *_default: Any) -> list[str]:
        return [f"{routing_key}.{exchange}" if exchange == REPLIES else routing_key]


class Transport(kombu_redis.Transport):
    """kombu's, over verified connections; for whoever sends."""

    Channel = Channel


class WorkersChannel(Channel):
    """Hands on only what was admitted."""

    tasks: Mapping[str, Judge] = {}

    def _brpop_read(self, **options: Any) -> bool:
        try:
            try:
                taken = self.client.parse_response(self.client.connection, "BRPOP", **options)
            except self.connection_errors:
                self.client.connection.disconnect()
                raise
            if not taken:
                raise Empty
            name = taken[0].decode().rsplit(self.sep, 1)[0]
            self._queue_cycle.rotate(name)
            self._deliver_task(taken[1], name)
            return True
        finally:
            self._in_poll = False

    def _deliver_task(self, raw: bytes, name: str) -> None:
        try:
            message = admitted_task(raw, name, tasks=self.tasks)
        except Refused as refused:
            self._count(refused)
        else:
            self.connection._deliver(message, name)

    def _receive_one(self, c: Any) -> bool | None:
        try:
            response = c.parse_response()
        except self.connection_errors:
            self._in_listen = False
            raise
        if not isinstance(response, list | tuple):
            return None
        heard = self._handle_message(c, response)  # type: ignore[no-untyped-call]
        if not heard["type"].endswith(b"message"):
            return None
        exchange = heard["channel"].decode().partition(".")[2].split("/", 1)[0]
        try:
            message = admitted_command(heard["data"], commands=frozenset(Panel.data))
        except Refused as refused:
            self._count(refused)
            return None
        return bool(self._deliver_fanout_message(message, exchange))  # type: ignore[no-untyped-call]

    def _count(self, refused: Refused) -> None:
        signals.task_rejected.send(sender=self, message=None, exc=refused)

    def _put(self, queue: str, message: dict[str, Any], **_options: Any) -> None:
        if not queue.endswith(f".{REPLIES}"):
            return
        with self.conn_or_acquire() as client, client.pipeline() as pipe:
            pipe.lpush(queue, json.dumps(message, default=str)).pexpire(
                queue, REPLY_MILLISECONDS
            ).execute()

    def _size(self, _queue: str) -> int:
        return 0

    def _delete(self, queue: str, *_meta: Any, **_options: Any) -> None:
        self.auto_delete_queues.discard(queue)


class NodeChannel(WorkersChannel):
    """Lets in hints."""

    tasks = NODE_TASKS


class NodeTransport(Transport):
    """Of a node's Celery child."""

    Channel = NodeChannel


class ControlChannel(WorkersChannel):
    """Lets in the calls for passes."""

    tasks = CONTROL_TASKS


class ControlTransport(Transport):
    """Of the control worker."""

    Channel = ControlChannel
