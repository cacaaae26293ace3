"""Work on a thread of its own, so that whoever waits for it can stop waiting."""

import concurrent.futures
import contextvars
import threading
from collections.abc import Callable
from typing import TypeVar

from workers.threads import start_thread

POLL_SECONDS = 0.2
T = TypeVar("T")


class Overdue(Exception):  # noqa: N818
    """The work should have ended long ago and still runs, on ``thread``."""

    def __init__(self, thread: threading.Thread) -> None:
        super().__init__(f"{thread.name} does not end")
        self.thread = thread


def watched(
    name: str,
    work: Callable[[], T],
    *,
    is_overdue: Callable[[], bool],
    when_late: Callable[[], None],
) -> T:
    """The result or the error of ``work``; Overdue once ``is_overdue`` and it has not ended.

    Work that ends after that has no result: ``when_late`` is called on its thread instead.
    """
    outcome: concurrent.futures.Future[T] = concurrent.futures.Future()
    context = contextvars.copy_context()

    def run() -> None:
        try:
            result = context.run(work)
        except BaseException as error:  # noqa: BLE001 - raised again where it is waited for
            if outcome.set_running_or_notify_cancel():
                outcome.set_exception(error)
            else:
                when_late()
        else:
            if outcome.set_running_or_notify_cancel():
                outcome.set_result(result)
            else:
                when_late()

    thread = start_thread(name, run)
    while not concurrent.futures.wait([outcome], timeout=POLL_SECONDS).done:
        if is_overdue() and outcome.cancel():
            raise Overdue(thread)
    return outcome.result()
