"""Which device gets which job, on both databases."""

from dataclasses import replace

import pytest

from ffrtmp.domain.errors import InvalidRequest
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.domain.retry import FailureClass, RetryPolicy
from ffrtmp.store.engine import Store
from tests import builders
from tests.contract.conftest import RULES
from tests.contract.deeds import after_retry_wait, attempts, claim, complete, fail, granted, submit
from tests.fakes import FakeWorld


@pytest.fixture
def world(store: Store) -> FakeWorld:
    rules = replace(RULES, max_retries=5, retry=RetryPolicy(base_seconds=1, cap_seconds=60))
    return FakeWorld.over(store, rules)


def gpu_node(world: FakeWorld, name: str = "gpu-node", *, gpus: int = 1, slots: int = 1) -> str:
    devices = (builders.cpu(slots=2), *(builders.gpu(n, slots=slots) for n in range(gpus)))
    world.farm.nodes.register(builders.registration(name, devices=devices))
    return name


def cpu_node(world: FakeWorld, name: str = "cpu-node", *, slots: int = 4) -> str:
    world.farm.nodes.register(builders.registration(name, slots=slots))
    return name


@pytest.mark.parametrize("asked", [Hardware.GPU, Hardware.NVENC])
def test_cpu_node_never_takes_gpu_work_and_is_not_blocked_by_it(
    world: FakeWorld, asked: Hardware
) -> None:
    node = cpu_node(world)
    submit(world, hardware=asked, queue=Queue.LIVE, priority=Priority.HIGH)
    for_cpu = submit(world, queue=Queue.BATCH, priority=Priority.LOW)

    assert granted(world, node).job.id == for_cpu.id
    assert claim(world, node) is None


def test_gpu_node_serves_both_families_in_rank_order_each_on_its_device(world: FakeWorld) -> None:
    node = gpu_node(world)
    on_gpu = submit(world, hardware=Hardware.NVENC, queue=Queue.BATCH)
    on_cpu = submit(world, hardware=Hardware.CPU, queue=Queue.LIVE)

    assert granted(world, node, "gpu0").job.id == on_gpu.id
    assert granted(world, node, "cpu").job.id == on_cpu.id


def test_device_takes_the_best_ranked_of_all_it_can_run(world: FakeWorld) -> None:
    node = gpu_node(world)
    submit(world, hardware=Hardware.NVENC, queue=Queue.DEFAULT)
    best = submit(world, queue=Queue.LIVE)

    assert granted(world, node, "gpu0").job.id == best.id


def test_grant_says_the_device_and_a_concrete_kind_of_encoder(world: FakeWorld) -> None:
    node = gpu_node(world)
    job = submit(world, hardware=Hardware.GPU)
    granted(world, node, "gpu0")

    (attempt,) = attempts(world, job)
    assert (attempt.device, attempt.hardware) == ("gpu0", Hardware.NVENC)


def test_job_for_any_hardware_is_left_to_a_gpu_with_room_for_a_while(world: FakeWorld) -> None:
    gpu_node(world)
    node = cpu_node(world)
    job = submit(world)

    assert claim(world, node) is None
    world.clock.pass_seconds(RULES.gpu_patience_seconds + 0.1)
    assert granted(world, node).job.id == job.id


def test_job_for_any_hardware_runs_on_a_cpu_at_once_where_every_gpu_is_busy(
    world: FakeWorld,
) -> None:
    gpu, cpu = gpu_node(world), cpu_node(world)
    submit(world)
    granted(world, gpu, "gpu0")
    second = submit(world)

    assert granted(world, cpu).job.id == second.id


def test_job_for_a_codec_no_gpu_does_is_not_left_to_one(world: FakeWorld) -> None:
    gpu_node(world)
    node = cpu_node(world)
    job = submit(world, requires="auto:vp9")

    assert granted(world, node).job.id == job.id


def test_gpu_with_no_slot_left_gets_nothing_though_the_other_has_room(world: FakeWorld) -> None:
    node = gpu_node(world, gpus=2)
    submit(world, hardware=Hardware.NVENC)
    submit(world, hardware=Hardware.NVENC)
    granted(world, node, "gpu0")

    assert claim(world, node, "gpu0") is None
    assert granted(world, node, "gpu1").attempt.device == "gpu1"


def test_claim_for_a_device_the_node_has_not_is_refused(world: FakeWorld) -> None:
    node = cpu_node(world)
    submit(world)

    with pytest.raises(InvalidRequest, match="has no gpu0"):
        claim(world, node, "gpu0")


def test_gpu_failure_goes_to_another_gpu_then_to_a_cpu_and_the_history_says_so(
    world: FakeWorld,
) -> None:
    first, second, cpu = gpu_node(world, "first"), gpu_node(world, "second"), cpu_node(world)
    job = submit(world)
    fail(world, granted(world, first, "gpu0"))
    after_retry_wait(world)
    assert claim(world, first, "gpu0") is None
    assert claim(world, cpu) is None
    fail(world, granted(world, second, "gpu0"))
    after_retry_wait(world)
    assert claim(world, first, "gpu0") is None
    complete(world, granted(world, cpu))

    assert [(a.node_name, a.device, a.hardware) for a in attempts(world, job)] == [
        ("first", "gpu0", Hardware.NVENC),
        ("second", "gpu0", Hardware.NVENC),
        ("cpu-node", "cpu", Hardware.CPU),
    ]
    assert world.farm.jobs.get(job.id).status is JobStatus.COMPLETED


def test_gpu_failure_goes_to_the_other_gpu_of_its_node(world: FakeWorld) -> None:
    node = gpu_node(world, gpus=2)
    job = submit(world, hardware=Hardware.NVENC)
    fail(world, granted(world, node, "gpu0"))
    after_retry_wait(world)

    assert claim(world, node, "gpu0") is None
    assert granted(world, node, "gpu1").job.id == job.id


def test_gpu_failure_without_another_gpu_goes_to_the_cpu_of_the_same_node(
    world: FakeWorld,
) -> None:
    node = gpu_node(world)
    job = submit(world)
    fail(world, granted(world, node, "gpu0"))
    after_retry_wait(world)

    assert claim(world, node, "gpu0") is None
    assert granted(world, node, "cpu").job.id == job.id


def test_job_for_any_hardware_stays_with_gpus_where_no_cpu_can_run_it(world: FakeWorld) -> None:
    devices = (builders.cpu(slots=0, capabilities=()), builders.gpu())
    world.farm.nodes.register(builders.registration("only", devices=devices))
    job = submit(world)
    fail(world, granted(world, "only", "gpu0"))
    world.clock.pass_seconds(600)

    assert granted(world, "only", "gpu0").job.id == job.id


def test_job_that_asked_for_a_gpu_is_never_given_to_a_cpu(world: FakeWorld) -> None:
    node = gpu_node(world)
    submit(world, hardware=Hardware.GPU)
    fail(world, granted(world, node, "gpu0"))
    world.clock.pass_seconds(600)

    assert claim(world, node, "cpu") is None
    assert granted(world, node, "gpu0").attempt.number == 2


def test_retried_by_an_operator_a_job_may_run_on_gpus_again(world: FakeWorld) -> None:
    node = gpu_node(world)
    job = submit(world)
    fail(world, granted(world, node, "gpu0"))
    after_retry_wait(world)
    fail(world, granted(world, node, "cpu"), FailureClass.BAD_INPUT)
    world.farm.jobs.retry(job.id)

    assert granted(world, node, "gpu0").job.id == job.id


def test_retry_prefers_every_node_it_has_not_failed_on(world: FakeWorld) -> None:
    nodes = [cpu_node(world, name) for name in ("one", "two", "three")]
    job = submit(world)
    for node in nodes[:2]:
        fail(world, granted(world, node), FailureClass.CONNECTION)
        after_retry_wait(world)

    assert [claim(world, node) for node in nodes[:2]] == [None, None]
    assert granted(world, "three").job.id == job.id


def test_reserved_slots_run_nothing_but_live_jobs(world: FakeWorld) -> None:
    registered = builders.registration("node-1", slots=2, reserve_live=1)
    world.farm.nodes.register(registered)
    for _ in range(2):
        submit(world, queue=Queue.BATCH)
    granted(world)

    assert claim(world) is None
    assert claim(world, is_reserved=True) is None
    live = submit(world, queue=Queue.LIVE)
    assert granted(world, is_reserved=True).job.id == live.id


def test_reserved_slots_are_as_many_as_were_said(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-1", slots=3, reserve_live=1))
    for _ in range(3):
        submit(world, queue=Queue.LIVE)
    granted(world, is_reserved=True)

    assert claim(world, is_reserved=True) is None
    assert granted(world).attempt.number == 1


def test_job_for_any_hardware_is_rung_where_a_gpu_has_room(world: FakeWorld) -> None:
    cpu_node(world)
    submit(world)
    node = gpu_node(world)
    submit(world)
    granted(world, node, "gpu0")
    submit(world)

    assert [hint.queue_name for hint in world.bell.hints] == [
        "default",
        "default.gpu",
        "default",
    ]


def test_pass_rings_the_gpu_that_can_do_a_codec_where_others_cannot(world: FakeWorld) -> None:
    able = builders.gpu(codecs=(Codec.AV1,))
    world.farm.nodes.register(builders.registration("able", devices=(builders.cpu(), able)))
    gpu_node(world, "other")
    submit(world, requires="nvenc:av1", hardware=Hardware.NVENC)
    world.bell.hints.clear()
    world.farm.reconciler.run_once()

    assert "node.able.gpu" in [hint.queue_name for hint in world.bell.hints]
