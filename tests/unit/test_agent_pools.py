"""A Celery child for each pool of slots: what it hears, and what it is called."""

from pathlib import Path

import pytest

from ffrtmp.config import WorkerSettings
from ffrtmp.domain.device import CPU_DEVICE, Device
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.ranking import Queue
from tests.unit.agent_parts import NODE
from workers.box.box import NO_BOX
from workers.child import ChildSettings
from workers.errors import AgentError
from workers.ffmpeg.target import CPU, Target
from workers.identity import Identity
from workers.ledger import Ledger
from workers.limits.means import NO_GROUPS
from workers.node import NodeFacts, registration, slots_of
from workers.pools import Pool, queue_names

ALL = (Pool.CPU, Pool.GPU, Pool.LIVE, Pool.LIVE_GPU)


@pytest.mark.parametrize(
    ("pool", "pools", "heard"),
    [
        (Pool.CPU, ALL, (f"node.{NODE}", "live", "default", "batch")),
        (Pool.GPU, ALL, (f"node.{NODE}.gpu", "live.gpu", "default.gpu", "batch.gpu")),
        (Pool.LIVE, ALL, ("live",)),
        (Pool.LIVE_GPU, ALL, ("live.gpu",)),
        (Pool.LIVE, (Pool.LIVE,), (f"node.{NODE}", "live")),
        (Pool.LIVE_GPU, (Pool.CPU, Pool.LIVE, Pool.LIVE_GPU), (f"node.{NODE}.gpu", "live.gpu")),
    ],
)
def test_each_pool_hears_the_queues_of_its_kind(
    pool: Pool, pools: tuple[Pool, ...], heard: tuple[str, ...]
) -> None:
    assert queue_names(pool, node_id=NODE, queues=tuple(Queue), pools=pools) == heard


def test_queues_that_a_node_leaves_out_are_not_heard() -> None:
    heard = queue_names(Pool.CPU, node_id=NODE, queues=(Queue.BATCH, Queue.LIVE), pools=ALL)

    assert heard == (f"node.{NODE}", "live", "batch")


def test_no_two_children_of_a_node_are_called_the_same() -> None:
    def name_of(pool: Pool) -> str:
        return ChildSettings(
            broker_url="redis://nowhere",
            pool=pool,
            queue_names=("live",),
            concurrency=1,
            node_name="one",
            socket_path=Path("/x"),
            parent_pid=1,
        ).hostname

    assert [name_of(pool) for pool in ALL] == [
        "celery@one",
        "celery@one.gpu",
        "celery@one.live",
        "celery@one.live.gpu",
    ]


def facts_of(*queues: Queue) -> NodeFacts:
    gpu = Device(id="gpu0", name="T4", slots=2, capabilities=("nvenc:h264",))
    return NodeFacts(
        threads=1,
        queues=queues or tuple(Queue),
        hardware={},
        devices=(Device(id=CPU_DEVICE, name="", slots=3, capabilities=("cpu:h264",)), gpu),
        gstreamer=None,
        targets={
            CPU_DEVICE: {Hardware.CPU: CPU},
            "gpu0": {Hardware.NVENC: Target(hardware=Hardware.NVENC, address="0")},
        },
        box=NO_BOX,
        means=NO_GROUPS,
    )


def test_node_says_its_devices_and_what_they_make_together() -> None:
    said = registration(
        WorkerSettings(reserve_live=2), Identity(node_id=NODE, token="t" * 32), facts_of(), Ledger()
    )

    assert [(one.id, one.slots, one.capabilities) for one in said.devices] == [
        ("cpu", 3, ["cpu:h264"]),
        ("gpu0", 2, ["nvenc:h264"]),
    ]
    assert (said.slots, said.reserve_live) == (5, 2)
    assert said.capabilities == ["cpu:h264", "nvenc:h264"]


def test_slots_of_a_node_are_those_of_its_devices() -> None:
    slots = slots_of(WorkerSettings(reserve_live=3), facts_of())

    assert slots.count == 5
    assert slots.pools == (Pool.LIVE, Pool.LIVE_GPU)


def test_more_slots_kept_for_live_than_the_cpu_has_are_refused() -> None:
    with pytest.raises(AgentError, match="reserve_live is 4, but the CPU has 3 slots"):
        slots_of(WorkerSettings(reserve_live=4), facts_of())


def test_slots_kept_for_a_queue_that_the_node_leaves_out_are_refused() -> None:
    with pytest.raises(AgentError, match="live queue"):
        slots_of(WorkerSettings(reserve_live=1), facts_of(Queue.BATCH))
