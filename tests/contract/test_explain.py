"""One line that says why a job waits, always, on both databases."""

from dataclasses import replace

import pytest

from ffrtmp.domain.job import Job
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.placement import GSTREAMER_NEED
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.explain import Waiting
from ffrtmp.store.engine import Store
from tests import builders
from tests.contract.conftest import RULES
from tests.contract.deeds import beat, complete, fail, granted, submit
from tests.fakes import FakeWorld

FIRST = "number 1 of default/medium, no jobs ahead"


@pytest.fixture
def world(store: Store) -> FakeWorld:
    return FakeWorld.over(store, replace(RULES, set_aside_after=3))


def register(world: FakeWorld, node_id: str = "node-1", *, slots: int = 1) -> None:
    world.farm.nodes.register(builders.registration(node_id, slots=slots))


def why(world: FakeWorld, job: Job) -> Waiting:
    found = world.farm.explain.waiting(world.farm.jobs.get(job.id))
    assert found is not None
    return found


def run_for(world: FakeWorld, seconds: float, *, scenario_count: int = 1) -> None:
    for _ in range(scenario_count):
        submit(world)
        grant = granted(world)
        world.clock.pass_seconds(seconds)
        complete(world, grant)


def test_farm_without_nodes_says_so(world: FakeWorld) -> None:
    assert why(world, submit(world)).reason == (
        f"no node is online and taking work; {FIRST}; no slot could run it"
    )


def test_node_that_is_drained_or_offline_is_named_with_its_reason(world: FakeWorld) -> None:
    register(world, "silent")
    world.pass_farm_seconds(RULES.node_timeout_seconds + 5)
    register(world, "drained")
    world.farm.nodes.drain("drained", reason="new disk")

    assert why(world, submit(world)).reason == (
        "no node is online and taking work (drained is drained: new disk; silent is offline); "
        f"{FIRST}; no slot could run it"
    )


def test_queue_that_no_node_serves_is_named(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration(queues=(Queue.LIVE,)))

    assert why(world, submit(world)).reason == (
        f"no node at work serves the default queue; {FIRST}; no slot could run it"
    )


def test_hardware_and_codec_that_no_node_has_are_named(world: FakeWorld) -> None:
    register(world)
    job = submit(world, requires="gpu:av1", hardware=Hardware.NVENC)

    found = why(world, job)
    assert found.reason == (
        f"no node at work can encode av1 with hardware nvenc; {FIRST}; no slot could run it"
    )
    assert (found.slots, found.estimated_start_seconds) == (0, None)


def test_engine_that_no_node_has_is_named(world: FakeWorld) -> None:
    register(world)
    job = submit(world, requires=GSTREAMER_NEED)

    assert why(world, job).reason == (
        f"no node at work has a GStreamer that can publish; {FIRST}; no slot could run it"
    )


def test_gpu_that_was_set_aside_is_named_with_its_reason(world: FakeWorld) -> None:
    devices = (builders.cpu(), builders.gpu())
    world.farm.nodes.register(builders.registration(devices=devices))
    for _ in range(3):
        submit(world, hardware=Hardware.NVENC)
        job = fail(world, granted(world, device="gpu0"))
        world.clock.pass_seconds(0.001)
    world.clock.pass_seconds(60)

    assert why(world, job).reason == (
        "no node at work can encode h264 with hardware nvenc (gpu0 of node-1 is set aside: "
        "3 different jobs in a row failed here, hardware: it broke); "
        "number 3 of default/medium, 2 jobs ahead; no slot could run it"
    )


def test_retry_that_is_not_due_says_when_and_after_what(world: FakeWorld) -> None:
    register(world)
    job = submit(world)
    fail(world, granted(world), FailureClass.CONNECTION)

    assert why(world, job).reason == (
        f"retry 1 is due in 2 s, after: it broke; {FIRST}; "
        "1 of 1 slots that could run it are free; expected to start in about 2 s"
    )


def test_retry_left_to_another_node_says_so(world: FakeWorld) -> None:
    register(world)
    register(world, "node-2")
    job = submit(world)
    fail(world, granted(world), FailureClass.CONNECTION)
    world.farm.nodes.drain("node-2", reason=None)
    world.clock.pass_seconds(3)

    assert why(world, job).reason.startswith("left for ")


def test_free_slot_means_about_to_start(world: FakeWorld) -> None:
    register(world, slots=2)

    found = why(world, submit(world))
    assert found.reason == (f"about to start; {FIRST}; 2 of 2 slots that could run it are free")
    assert (found.position, found.jobs_ahead, found.slots_free) == (1, 0, 2)
    assert found.estimated_start_seconds == 0


def test_job_in_line_says_its_place_what_is_ahead_and_when_it_may_start(world: FakeWorld) -> None:
    register(world)
    run_for(world, 40)
    submit(world)
    granted(world)
    submit(world, queue=Queue.LIVE)
    submit(world, queue=Queue.BATCH, priority=Priority.LOW)
    job = submit(world, queue=Queue.BATCH, priority=Priority.LOW)
    world.clock.pass_seconds(10)

    found = why(world, job)
    assert found.reason == (
        "number 2 of batch/low, 2 jobs ahead; 0 of 1 slots that could run it are free; "
        "expected to start in about 2 min"
    )
    # 30 s are left of the running one, then two of 40 s each.
    assert found.estimated_start_seconds == pytest.approx(110)


def test_estimate_goes_by_the_progress_of_what_runs(world: FakeWorld) -> None:
    register(world)
    run_for(world, 40)
    submit(world)
    grant = granted(world)
    job = submit(world)
    world.clock.pass_seconds(60)
    beat(world, grant, seq=1)

    # Half of it is done in 60 s.
    assert why(world, job).estimated_start_seconds == pytest.approx(60)


def test_jobs_that_need_other_hardware_are_not_ahead(world: FakeWorld) -> None:
    register(world)
    submit(world, hardware=Hardware.NVENC, queue=Queue.LIVE)

    assert why(world, submit(world)).jobs_ahead == 0


def test_without_a_finished_job_there_is_no_estimate(world: FakeWorld) -> None:
    register(world)
    submit(world)
    granted(world)

    found = why(world, submit(world))
    assert found.estimated_start_seconds is None
    assert found.reason == (f"{FIRST}; 0 of 1 slots that could run it are free")


def test_progress_alone_is_enough_for_the_next_in_line(world: FakeWorld) -> None:
    register(world)
    submit(world)
    grant = granted(world)
    job = submit(world)
    world.clock.pass_seconds(60)
    beat(world, grant, seq=1)

    assert why(world, job).estimated_start_seconds == pytest.approx(60)
    assert why(world, submit(world)).estimated_start_seconds is None


def test_reserved_slots_are_no_help_to_other_jobs(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration(slots=2, reserve_live=1))
    submit(world)
    granted(world)

    assert why(world, submit(world)).slots_free == 0
    assert why(world, submit(world, queue=Queue.LIVE)).slots_free == 1


def test_paused_job_says_who_paused_it(world: FakeWorld) -> None:
    register(world)
    job = submit(world)
    granted(world)
    world.farm.jobs.pause(job.id)

    assert why(world, job).reason == "paused by an operator; jobs resume lets it go on"


def test_running_job_has_no_reason_to_wait(world: FakeWorld) -> None:
    register(world)
    job = submit(world)
    granted(world)

    assert world.farm.explain.waiting(world.farm.jobs.get(job.id)) is None
