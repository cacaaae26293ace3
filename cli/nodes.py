"""``ffrtmp nodes``: the hosts."""

import time
from typing import Annotated

import typer

from cli.options import Session, group_callback, with_session
from cli.render import say, show_facts, show_json, show_table
from ffrtmp.client import MasterClient
from ffrtmp.schemas import NodeAnswer

POLL_SECONDS = 0.5
COLUMNS = ("name", "address", "status", "slots", "queues", "last heartbeat", "version", "reason")

NodeArgument = Annotated[str, typer.Argument(help="id, name or address", show_default=False)]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.callback()(group_callback("Look at nodes, take them out of work and bring them back."))


@app.command("list")
@with_session
def list_nodes(session: Session) -> None:
    """List the nodes."""
    with session.client() as master:
        found = master.nodes()
    if session.wants_json:
        show_json(found)
    else:
        show_table(COLUMNS, [_row(node) for node in found.nodes])


@app.command()
@with_session
def describe(session: Session, node: NodeArgument) -> None:
    """Show every fact of a node."""
    with session.client() as master:
        _show(session, master.node(node))


@app.command()
@with_session
def drain(
    session: Session,
    node: NodeArgument,
    *,
    reason: Annotated[str | None, typer.Option(help="why, for whoever looks later")] = None,
    wait: Annotated[bool, typer.Option("--wait", help="return when nothing runs there")] = False,
) -> None:
    """Let a node finish what it runs and give it nothing new."""
    with session.client() as master:
        answer = master.drain(node, reason=reason)
        _show(session, _until_idle(master, answer) if wait else answer)


@app.command()
@with_session
def undrain(session: Session, node: NodeArgument) -> None:
    """Let a drained node take work again."""
    with session.client() as master:
        _show(session, master.undrain(node))


@app.command()
@with_session
def remove(session: Session, node: NodeArgument) -> None:
    """Forget a node; drain it first if it works."""
    with session.client() as master:
        master.remove_node(node)
    if session.wants_json:
        show_json({"removed": node})
    else:
        say(f"removed {node}")


def _until_idle(master: MasterClient, node: NodeAnswer) -> NodeAnswer:
    seen = None
    while node.slots_busy:
        if seen != node.slots_busy:
            say(f"{node.name}: {node.slots_busy} attempts still run")
        seen = node.slots_busy
        time.sleep(POLL_SECONDS)
        node = master.node(node.id)
    return node


def _show(session: Session, node: NodeAnswer) -> None:
    if session.wants_json:
        show_json(node)
        return
    facts = node.model_dump(exclude={"running"})
    running = [f"job {r.sequence_number} attempt {r.attempt}" for r in node.running]
    show_facts(facts | {"running": running})


def _row(node: NodeAnswer) -> tuple[object, ...]:
    slots = f"{node.slots_busy}/{node.slots}"
    if node.slots_lost:
        slots += f", {node.slots_lost} lost"
    return (
        node.name,
        node.address,
        node.status,
        slots,
        node.queues,
        node.last_heartbeat,
        node.version,
        node.drain_reason or "",
    )
