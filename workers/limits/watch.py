"""Looking again and again while a process runs."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from workers.threads import start_thread

LOOK_SECONDS: Final = 0.2


@contextmanager
def watching(is_over: Callable[[], bool], stop: Callable[[], None]) -> Iterator[None]:
    """Call ``stop`` once ``is_over``, as long as the block lasts.

    It looks on a thread that nobody waits for: a disk that does not answer holds only that.
    """
    done = threading.Event()

    def watch() -> None:
        while not done.is_set():
            if is_over():
                stop()
                return
            done.wait(LOOK_SECONDS)

    start_thread("limits", watch)
    try:
        yield
    finally:
        done.set()
