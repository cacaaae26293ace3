"""Long-running threads: a pass that fails is logged and run again, never lost silently."""

import logging
import threading
from collections.abc import Callable

from workers.errors import AgentError

RESTART_SECONDS = 1.0
log = logging.getLogger(__name__)


def start_thread(name: str, target: Callable[[], object]) -> threading.Thread:
    """A started thread that does not keep the process alive."""
    thread = threading.Thread(name=name, target=target, daemon=True)
    thread.start()
    return thread


def start_loop(
    name: str,
    loop: Callable[[], None],
    *,
    stop: threading.Event,
    fatal: Callable[[AgentError], None],
) -> threading.Thread:
    """Run ``loop`` until it returns; after an unexpected error it starts over while not stopped.

    An AgentError ends the agent: it goes to ``fatal``.
    """

    def guarded() -> None:
        while not stop.is_set():
            try:
                loop()
                return
            except AgentError as error:
                fatal(error)
                return
            except Exception:
                log.exception("%s failed; it starts over", name)
                stop.wait(RESTART_SECONDS)

    return start_thread(name, guarded)
