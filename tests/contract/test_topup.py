"""Hints for devices that others cannot stand in for, on both databases."""

from ffrtmp.domain.hint import node_queue_name
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.ranking import Queue
from tests import builders
from tests.contract.deeds import complete, granted, submit
from tests.fakes import FakeWorld

GPU_QUEUE = node_queue_name("node-1", is_gpu=True)


def register(world: FakeWorld, *, cpu_slots: int = 1, gpu_slots: int = 1, reserve: int = 0) -> None:
    devices = (builders.cpu(slots=cpu_slots), builders.gpu(slots=gpu_slots))
    world.farm.nodes.register(builders.registration(devices=devices, reserve_live=reserve))


def rung(world: FakeWorld, name: str) -> int:
    world.bell.hints.clear()
    world.farm.reconciler.run_once()
    return world.bell.waiting(name)


def test_gpu_that_is_free_is_rung_though_many_better_jobs_wait_for_a_cpu(world: FakeWorld) -> None:
    register(world)
    submit(world, hardware=Hardware.CPU)
    granted(world)
    submit(world)
    for _ in range(40):
        submit(world, queue=Queue.LIVE, hardware=Hardware.CPU)

    assert rung(world, GPU_QUEUE) == 1


def test_gpu_with_several_free_slots_is_rung_for_each(world: FakeWorld) -> None:
    register(world, gpu_slots=4)
    submit(world, hardware=Hardware.CPU)
    granted(world)
    for _ in range(8):
        submit(world)

    assert rung(world, GPU_QUEUE) == 4
    world.farm.reconciler.run_once()
    assert world.bell.waiting(GPU_QUEUE) == 4


def test_gpu_slot_reserved_for_live_is_rung_for_a_live_job_that_may_run_anywhere(
    world: FakeWorld,
) -> None:
    register(world, cpu_slots=2, gpu_slots=2, reserve=1)
    submit(world, hardware=Hardware.GPU)
    granted(world, device="gpu0")
    submit(world, hardware=Hardware.CPU)
    granted(world)
    submit(world, queue=Queue.LIVE, hardware=Hardware.CPU)
    granted(world, is_reserved=True)
    submit(world, queue=Queue.LIVE)

    assert rung(world, "live.gpu") == 1


def test_job_that_every_node_can_run_rings_nobody_alone(world: FakeWorld) -> None:
    for name in ("node-1", "node-2"):
        world.farm.nodes.register(builders.registration(name))
    submit(world)

    assert rung(world, "default") == 1
    assert [hint.queue_name for hint in world.bell.hints] == ["default"]


def test_gpu_that_has_become_free_is_rung_again(world: FakeWorld) -> None:
    register(world)
    submit(world, hardware=Hardware.CPU)
    granted(world)
    submit(world)
    running = granted(world, device="gpu0")
    submit(world)

    assert rung(world, GPU_QUEUE) == 0
    complete(world, running)
    assert rung(world, GPU_QUEUE) == 1
