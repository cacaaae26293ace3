"""``ffrtmp nodes``: the hosts."""

from collections.abc import Iterable, Mapping
from typing import Annotated

import typer

from cli.options import Session, group_callback, with_session
from cli.render import say, show_facts, show_json, show_table
from ffrtmp.domain.device import GPU_FAMILIES
from ffrtmp.domain.media import Hardware
from ffrtmp.schemas import DeviceAnswer, NodeAnswer

ENCODER_FAMILIES = (Hardware.CPU, *GPU_FAMILIES)
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
        show_node(session, master.node(node))


@app.command()
@with_session
def undrain(session: Session, node: NodeArgument) -> None:
    """Let a drained node take work again."""
    with session.client() as master:
        show_node(session, master.undrain(node))


@app.command()
@with_session
def revoke(session: Session, node: NodeArgument) -> None:
    """End a node's token at once and run its jobs elsewhere; remove lets it come back."""
    with session.client() as master:
        show_node(session, master.revoke_node(node))


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


def show_node(session: Session, node: NodeAnswer) -> None:
    """Every fact of a node on stdout."""
    if session.wants_json:
        show_json(node)
        return
    running = [f"job {r.sequence_number} attempt {r.attempt}" for r in node.running]
    devices = {device.id: device_text(device) for device in node.devices}
    hardware = dict(node.hardware)
    for tested in ("encoders", "decoders"):
        if hardware.get(tested):
            hardware[tested] = trials_text(hardware[tested])
    facts = {"running": running, "devices": devices, "hardware": hardware}
    show_facts(node.model_dump() | facts)


def device_text(device: DeviceAnswer) -> str:
    """A device in one line: what it is, how busy, what it can, and why it is out of work."""
    parts = [f"{device.slots_busy}/{device.slots} busy", _abilities(device.capabilities)]
    if device.name:
        parts.insert(0, device.name)
    return "; ".join(part for part in [*parts, device.set_aside] if part)


def trials_text(trials: object) -> str:
    """The tests of a node's devices in one line: how many passed, and why the others did not.

    They are in the node's own words, so any of them may be missing.
    """
    said = [one for one in trials if isinstance(one, dict)] if isinstance(trials, list) else []
    failed = [
        f"{one.get('device')} {_tested(one)} {one.get('bits')} bit: {one.get('reason')}"
        for one in said
        if not one.get("works")
    ]
    return "; ".join([f"{len(said) - len(failed)} of {len(said)} tests passed", *failed])


def _tested(trial: Mapping[str, object]) -> object:
    return trial.get("encoder") or f"{trial.get('hardware')}:{trial.get('codec')}"


def _abilities(capabilities: Iterable[str]) -> str:
    """Codecs by the encoders that a device really has: ``nvenc h264 hevc, qsv h264``."""
    split = [capability.partition(":") for capability in sorted(capabilities)]
    codecs = {family: [c for f, _, c in split if f == family] for family in ENCODER_FAMILIES}
    return ", ".join(" ".join([family, *found]) for family, found in codecs.items() if found)


def _reason(node: NodeAnswer) -> str:
    aside = [f"{one.id} {one.set_aside}" for one in node.devices if one.set_aside]
    said = [node.drain_reason, "revoked" if node.revoked_at else None, *aside]
    return "; ".join(reason for reason in said if reason)


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
        _reason(node),
    )
