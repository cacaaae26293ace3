"""Waiting where the master says that it has too much to do."""

import time
from collections.abc import Callable

from cli.render import say
from ffrtmp.client import MasterBusy

PATIENCE_SECONDS = 60.0


class Patience:
    """How long one run of a command waits, all its requests together."""

    def __init__(self, sleep: Callable[[float], None] = time.sleep) -> None:
        self._left_seconds = PATIENCE_SECONDS
        self._sleep = sleep
        self._is_told = False

    def outlast(self, busy: MasterBusy) -> bool:
        """Wait as long as the master asked; False where that is longer than there is patience."""
        wait_seconds = max(busy.wait_seconds, 0.1)
        if wait_seconds > self._left_seconds:
            return False
        self._left_seconds -= wait_seconds
        if not self._is_told:
            say(f"the master has too much to do: {busy}; waiting for it")
        self._is_told = True
        self._sleep(wait_seconds)
        return True
