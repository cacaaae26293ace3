"""Waiting for what other processes do."""

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
