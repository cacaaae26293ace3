"""``ffrtmp nodes drain``: take a node out of work, and wait until it has finished."""

import math
import time
from collections.abc import Mapping
from typing import Annotated

import typer

from cli.exits import StillRunning, UsageError
from cli.nodes import NodeArgument, show_node
from cli.options import Session, with_session
from cli.render import say
from ffrtmp.client import MasterClient
from ffrtmp.config import parse_duration
from ffrtmp.domain.attempt import Pause
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import NodeAnswer, RunningAttempt

POLL_SECONDS = 0.5


@with_session
def drain(
    session: Session,
    node: NodeArgument,
    *,
    reason: Annotated[str | None, typer.Option(help="why, for whoever looks later")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="return when nothing runs there")] = False,
    timeout: Annotated[
        str | None, typer.Option(help="wait no longer than this: 90s, 1h; then exit 1")
    ] = None,
) -> None:
    """Let a node finish what it runs and give it nothing new."""
    if timeout is not None and not wait:
        raise UsageError("--timeout bounds --wait: give both")
    seconds = math.inf if timeout is None else _seconds(timeout)
    with session.client() as master:
        answer = master.drain(node, reason=reason)
        if wait:
            answer = _until_idle(master, answer, timeout_seconds=seconds)
        show_node(session, answer)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(drain)


def remaining_text(node: NodeAnswer, pauses: Mapping[str, Pause]) -> str:
    """What a node still runs; ``pauses`` says by job id why one is suspended."""
    return ", ".join(_one_text(one, pauses.get(one.job_id)) for one in node.running)


def _one_text(one: RunningAttempt, pause: Pause | None) -> str:
    job = f"job {one.sequence_number}"
    match pause:
        case Pause.OPERATOR:
            number = one.sequence_number
            return (
                f"{job} (paused by an operator, never ends by itself:"
                f" 'ffrtmp jobs resume {number}' or 'cancel {number}')"
            )
        case Pause.PREEMPTED:
            return f"{job} (suspended, goes on when its device has room)"
    return job


def _seconds(timeout: str) -> float:
    try:
        return float(str(parse_duration(timeout)))
    except ValueError as error:
        raise UsageError(f"--timeout: {error}") from None


def _until_idle(master: MasterClient, node: NodeAnswer, *, timeout_seconds: float) -> NodeAnswer:
    give_up_at = time.monotonic() + timeout_seconds
    said = None
    while node.running:
        text = remaining_text(node, _pauses(master, node))
        if time.monotonic() >= give_up_at:
            raise StillRunning(
                f"{node.name} still runs {text}; it goes on draining,"
                f" 'ffrtmp nodes undrain {node.name}' ends that"
            )
        if text != said:
            say(f"{node.name} still runs {text}")
        said = text
        time.sleep(POLL_SECONDS)
        node = master.node(node.id)
    return node


def _pauses(master: MasterClient, node: NodeAnswer) -> Mapping[str, Pause]:
    """Why attempts of the node are suspended, by job id."""
    found = {}
    for job in master.jobs(status=JobStatus.PAUSED, node=node.id).jobs:
        for attempt in master.attempts(job.id).attempts:
            if attempt.number == job.attempt and attempt.pause is not None:
                found[job.id] = attempt.pause
    return found
