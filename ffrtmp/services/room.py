"""Where there is room, as claims, pauses and passes see it."""

from collections.abc import Sequence

from ffrtmp.domain.attempt import Attempt
from ffrtmp.domain.breaker import WHOLE_NODE
from ffrtmp.domain.node import Node
from ffrtmp.domain.occupancy import Occupancy
from ffrtmp.domain.placement import takes_any
from ffrtmp.store.engine import Transaction

GPU_NODES_CONSIDERED = 50


def gpus_with_room(tx: Transaction) -> Sequence[str]:
    """What could run on a GPU that has a free slot now, of the needs that a CPU meets as well."""
    nodes = tx.nodes.with_gpu(limit=GPU_NODES_CONSIDERED)
    if not nodes:
        return ()
    occupancy = Occupancy.of(tx.attempts.taken([node.id for node in nodes]))
    return sorted(
        {
            need
            for node in nodes
            for device in node.devices_at_work
            if device.is_gpu and occupancy.free(node, device, is_live=False) > 0
            for need in device.capabilities
            if takes_any(need)
        }
    )


def canaries_due(
    node: Node, held: Sequence[Attempt], *, farm_seconds: float, after_seconds: float
) -> Sequence[str]:
    """The devices that may claim one job although they, or their node, are set aside.

    One at a time: of a node that runs nothing, or of a device that does. Any device of the node
    may, since nobody knows for which of them there is a job. What is suspended does not run.
    """
    if node.is_offline or (node.is_draining and not node.is_set_aside):
        return ()
    busy = {attempt.device for attempt in held if attempt.holds_slot}
    due = [
        name
        for name, aside in node.set_aside.items()
        if name not in busy and aside.is_canary_due(farm_seconds, after_seconds=after_seconds)
    ]
    if not node.is_set_aside:
        return due
    if busy or WHOLE_NODE not in due:
        return ()
    return [one.id for one in node.devices if one.id not in node.set_aside or one.id in due]
