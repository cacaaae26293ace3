"""``ffrtmp queues``: what waits where, and holding a queue back."""

from collections.abc import Mapping
from typing import Annotated

import typer

from cli.options import Session, group_callback, with_session
from cli.render import duration_text, show_json, show_table
from ffrtmp.domain.ranking import Queue
from ffrtmp.schemas import QueueList, RankCount

COLUMNS = (
    "rank",
    "queue",
    "priority",
    "hardware",
    "waiting",
    "running",
    "slots",
    "oldest wait",
    "state",
)

QueueArgument = Annotated[Queue, typer.Argument(help="live, default or batch", show_default=False)]


def show_queues(session: Session) -> None:
    """What waits and runs, best rank first."""
    with session.client() as master:
        _show(session, master.queues())


app = typer.Typer(invoke_without_command=True, rich_markup_mode=None)
app.callback()(
    group_callback("Show what waits and runs, best rank first.", alone=show_queues),
)


@app.command()
@with_session
def pause(
    session: Session,
    queue: QueueArgument,
    *,
    reason: Annotated[str | None, typer.Option(help="why, for whoever looks later")] = None,
) -> None:
    """Start nothing more of a queue; what runs goes on, and jobs are still accepted."""
    with session.client() as master:
        _show(session, master.pause_queue(queue, reason=reason))


@app.command()
@with_session
def resume(session: Session, queue: QueueArgument) -> None:
    """Let the jobs of a paused queue start again."""
    with session.client() as master:
        _show(session, master.resume_queue(queue))


def _show(session: Session, found: QueueList) -> None:
    if session.wants_json:
        show_json(found)
        return
    paused = {one.queue: _paused_text(one.reason) for one in found.paused}
    rows = [_row(count, paused) for count in found.queues if _is_worth_a_line(count)]
    last = ("slots", f"{found.slots_busy}/{found.slots} busy")
    show_table(COLUMNS, [*rows, last + ("",) * (len(COLUMNS) - len(last))])


def _is_worth_a_line(count: RankCount) -> bool:
    return count.hardware == "auto" or bool(count.waiting or count.running)


def _paused_text(reason: str | None) -> str:
    return f"paused: {reason}" if reason else "paused"


def _row(count: RankCount, paused: Mapping[Queue, str]) -> tuple[object, ...]:
    return (
        count.rank,
        count.queue,
        count.priority,
        count.hardware,
        count.waiting,
        count.running,
        count.slots,
        duration_text(count.oldest_wait_seconds),
        paused.get(count.queue),
    )
