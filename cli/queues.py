"""``ffrtmp queues``."""

import typer

from cli.options import Session, with_session
from cli.render import seconds_text, show_json, show_table

COLUMNS = ("rank", "queue", "priority", "waiting", "running", "oldest wait s")


@with_session
def queues(session: Session) -> None:
    """Show what waits and runs, best rank first."""
    with session.client() as master:
        found = master.queues()
    if session.wants_json:
        show_json(found)
        return
    rows = [
        (r.rank, r.queue, r.priority, r.waiting, r.running, seconds_text(r.oldest_wait_seconds))
        for r in found.queues
    ]
    show_table(
        COLUMNS, [*rows, ("slots", f"{found.slots_busy}/{found.slots} busy", "", "", "", "")]
    )


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(queues)
