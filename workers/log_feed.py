"""Sending an attempt's log while it grows, for whoever follows it."""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from ffrtmp.client import ClientError, MasterRefused
from ffrtmp.schemas import LogChunk
from workers.ledger import Held
from workers.registration import may_pass
from workers.threads import start_thread

INTERVAL_SECONDS = 1.0
log = logging.getLogger(__name__)


class LogClient(Protocol):
    """What the feed needs of the master's client; its key is the node token."""

    def append_log(self, job_id: str, attempt: int, body: LogChunk) -> None:
        """POST /attempts/{job}/{n}/logs."""
        ...


@contextmanager
def feeding(client: LogClient, held: Held, text_since: Callable[[int], str]) -> Iterator[None]:
    """While inside, send about every second what ``text_since(characters sent)`` returns.

    Failures cost nothing: the result carries the whole log.
    """
    ended = threading.Event()
    start_thread(f"log {held}", lambda: _feed(client, held, text_since, ended))
    try:
        yield
    finally:
        ended.set()


def _feed(
    client: LogClient, held: Held, text_since: Callable[[int], str], ended: threading.Event
) -> None:
    offset = 0
    while not ended.wait(INTERVAL_SECONDS):
        text = text_since(offset)
        if not text:
            continue
        try:
            body = LogChunk(lease=held.lease, offset=offset, text=text)
            client.append_log(held.job_id, held.number, body)
            offset += len(text)
        except MasterRefused as refused:
            if not may_pass(refused):
                log.info("the log of %s is not followed any more: %s", held, refused)
                return
        except ClientError as error:
            log.debug("log of %s not sent: %s", held, error)
