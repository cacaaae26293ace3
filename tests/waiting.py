"""Waiting for what other processes do, and ports for them."""

import socket
import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
POLL_SECONDS = 0.02


def wait_until(fact: Callable[[], T | None], *, seconds: float = 30.0, what: str = "the fact") -> T:
    """The first true answer; AssertionError with the last one after ``seconds``."""
    give_up_at = time.monotonic() + seconds
    while True:
        answer = fact()
        if answer:
            return answer
        if time.monotonic() > give_up_at:
            raise AssertionError(f"waited {seconds:.0f} s for {what}; last seen: {answer!r}")
        time.sleep(POLL_SECONDS)


def free_port() -> int:
    """A loopback port that was free a moment ago."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
