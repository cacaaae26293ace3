"""A real valkey for a test: the embedded broker, started as the supervisor would start it."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from ffrtmp.broker.embedded import EmbeddedBroker, prepare, wait_until_ready


@contextmanager
def running(broker: EmbeddedBroker) -> Iterator[EmbeddedBroker]:
    """The server runs inside the block."""
    with subprocess.Popen(broker.argv, stdout=subprocess.DEVNULL) as process:
        try:
            wait_until_ready(broker.url, timeout_seconds=10)
            yield broker
        finally:
            process.kill()


@contextmanager
def valkey(folder: Path) -> Iterator[EmbeddedBroker]:
    """A server of its own, on a free port."""
    with running(prepare(folder)) as broker:
        yield broker


@contextmanager
def client_of(broker: EmbeddedBroker) -> Iterator[Redis]:
    """A plain client that sees what is really in the server."""
    with Redis.from_url(broker.url) as client:
        yield client
