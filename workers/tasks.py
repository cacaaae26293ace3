"""The one Celery task of a node: tell the agent of a hint and wait until it is done with it."""

import json
import logging
import socket
from pathlib import Path
from typing import Any

from celery import Celery

from ffrtmp import telemetry
from ffrtmp.broker.messages import HINT_TASK, hint_from_kwargs
from ffrtmp.domain.hint import Hint
from workers.unix_path import short_path

log = logging.getLogger(__name__)


def register_hint_task(app: Celery, socket_path: Path) -> None:
    """Let ``app`` serve hints through the agent's socket."""

    def hint(**kwargs: Any) -> None:
        found = hint_from_kwargs(kwargs, queue_name="")
        if found is None:
            log.warning("dropped a message that is not a hint")
        else:
            hand_to_agent(found, socket_path)

    app.task(hint, name=HINT_TASK)


def hand_to_agent(hint: Hint, socket_path: Path) -> None:
    """Block until the agent hangs up; never raises, since a lost hint costs only time."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            with short_path(socket_path) as name:
                connection.connect(name)
            said = {"job_id": hint.job_id, "rank": hint.rank}
            said |= {"trace_parent": telemetry.current_traceparent()}
            connection.sendall(f"{json.dumps(said)}\n".encode())
            while connection.recv(64):
                pass
    except OSError as error:
        log.warning("the agent did not take a hint: %s", error)
