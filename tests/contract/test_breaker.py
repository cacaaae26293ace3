"""A node that fails whatever it is given is set aside, on both databases."""

from dataclasses import replace

import pytest

from ffrtmp.domain.errors import NodeNotAccepting
from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.node import NodeStatus
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.attempts import Claim, Grant
from ffrtmp.store.engine import Store
from ffrtmp.store.jobs import JobFilter
from tests import builders
from tests.contract.conftest import RULES
from tests.contract.deeds import beat, complete, fail, granted, submit
from tests.fakes import FakeWorld


@pytest.fixture
def world(store: Store) -> FakeWorld:
    world = FakeWorld.over(store, replace(RULES, set_aside_after=3))
    world.farm.nodes.register(builders.registration("broken"))
    return world


def run_jobs(world: FakeWorld, *endings: FailureClass | None, node_id: str = "broken") -> list[str]:
    """One job for each ending, None for success, run in turn on the node; their ids."""
    return [run_one(world, ending, node_id) for ending in endings]


def run_one(world: FakeWorld, ending: FailureClass | None, node_id: str) -> str:
    (job,) = world.farm.jobs.submit([builders.request()])
    grant = claim(world, f"claim of {job.id}", node_id)
    if ending is None:
        world.farm.attempts.commit(
            grant.job.id,
            grant.attempt.number,
            node_id=node_id,
            lease=grant.attempt.lease,
            size=1,
            sha256=builders.SHA_A,
        )
        world.farm.attempts.report(builders.completed(grant))
    else:
        world.farm.attempts.report(builders.failed(grant, ending))
    world.clock.pass_seconds(0.001)
    return grant.job.id


def claim(world: FakeWorld, claim_id: str, node_id: str) -> Grant:
    asked = Claim(node_id=node_id, epoch=1, claim_id=claim_id, heartbeat_seq=0)
    grant = world.farm.attempts.claim(asked)
    assert grant is not None
    return grant


def status(world: FakeWorld) -> NodeStatus:
    return world.farm.nodes.get("broken").node.status(slots_busy=0)


def test_three_different_jobs_in_a_row_set_a_node_aside_and_get_their_failures_back(
    world: FakeWorld,
) -> None:
    jobs = run_jobs(world, FailureClass.KILLED, FailureClass.HARDWARE)
    assert status(world) is NodeStatus.AVAILABLE

    jobs += run_jobs(world, FailureClass.HARDWARE)

    node = world.farm.nodes.get("broken").node
    assert status(world) is NodeStatus.DRAINING
    assert node.drain_reason == (
        "set aside: 3 different jobs in a row failed here, hardware: it broke"
    )
    waiting = [world.farm.jobs.get(job_id) for job_id in jobs]
    assert [(job.status, job.failures, job.attempt) for job in waiting] == [
        (JobStatus.PENDING, 0, 1)
    ] * 3
    with world.farm.store.read() as tx:
        kinds = [event.kind for event in tx.events.after(0, limit=100)]
    assert kinds.count(EventKind.NODE_DRAINING) == 1
    assert kinds.count(EventKind.JOB_FAILURES_FORGIVEN) == 3
    assert world.bell.nudged == ["broken"]


@pytest.mark.parametrize(
    "between",
    [
        [FailureClass.BAD_INPUT, FailureClass.CONNECTION, FailureClass.NO_SPACE],
        [FailureClass.STALLED, FailureClass.OUTPUT_WRONG],
    ],
)
def test_failures_that_are_not_the_nodes_own_neither_count_nor_break_the_row(
    world: FakeWorld, between: list[FailureClass]
) -> None:
    run_jobs(world, FailureClass.AGENT, FailureClass.ENCODER, *between)
    assert status(world) is NodeStatus.AVAILABLE

    run_jobs(world, FailureClass.ENCODER)

    assert status(world) is NodeStatus.DRAINING


def test_success_begins_a_new_row(world: FakeWorld) -> None:
    run_jobs(world, FailureClass.KILLED, FailureClass.KILLED, None, FailureClass.KILLED)

    assert status(world) is NodeStatus.AVAILABLE


def test_row_is_seen_though_the_masters_clock_steps_back(world: FakeWorld) -> None:
    run_jobs(world, None)
    world.clock.pass_seconds(-600)
    world.pass_farm_seconds(10)

    run_jobs(world, *[FailureClass.KILLED] * 3)

    assert status(world) is NodeStatus.DRAINING


def test_one_job_that_fails_again_and_again_says_nothing_about_its_node(world: FakeWorld) -> None:
    (job,) = run_jobs(world, FailureClass.KILLED)
    for number in range(2):
        world.clock.pass_seconds(100)
        again = claim(world, f"claim again {number}", "broken")
        world.farm.attempts.report(builders.failed(again, FailureClass.KILLED))

    assert world.farm.jobs.get(job).status is JobStatus.FAILED
    assert status(world) is NodeStatus.AVAILABLE


def test_undrained_node_is_trusted_anew(world: FakeWorld) -> None:
    run_jobs(world, *[FailureClass.HARDWARE] * 3)
    world.farm.nodes.undrain("broken")
    world.clock.pass_seconds(0.001)

    with world.farm.store.write() as tx:
        for job in tx.backlog.best_due(farm_seconds=0, now=world.clock(), limit=9):
            tx.jobs.move(job, JobStatus.CANCELED)
    run_jobs(world, *[FailureClass.HARDWARE] * 2)

    assert status(world) is NodeStatus.AVAILABLE


def test_failure_that_may_be_the_nodes_own_is_left_to_a_busy_node(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("busy"))
    run_busy = world.farm.jobs.submit([builders.request()])[0].id
    assert claim(world, "claim of the busy", "busy").job.id == run_busy

    (job,) = run_jobs(world, FailureClass.KILLED)

    world.clock.pass_seconds(60)
    asked = Claim(node_id="broken", epoch=1, claim_id="claim again", heartbeat_seq=0)
    assert world.farm.attempts.claim(asked) is None
    world.clock.pass_seconds(600)
    later = replace(asked, claim_id="claim much later")
    grant = world.farm.attempts.claim(later)
    assert grant is not None
    assert grant.job.id == job


# canaries


def pass_until_canary(world: FakeWorld, *, seq: int, failed: int = 0) -> None:
    """As long as what was set aside has to wait, its node heard all the time."""
    wait = world.farm.context.policy.canary_after_seconds * 2**failed
    for step in range(int(wait // 30) + 1):
        world.pass_farm_seconds(30, step=10)
        world.farm.nodes.heartbeat(builders.beat("broken", seq=seq + step))


def set_node_aside(world: FakeWorld) -> None:
    run_jobs(world, *[FailureClass.KILLED] * 3)


def test_canary_job_lets_a_node_back(world: FakeWorld) -> None:
    set_node_aside(world)
    early = world.farm.nodes.heartbeat(builders.beat("broken", seq=1))
    pass_until_canary(world, seq=2)
    due = world.farm.nodes.heartbeat(builders.beat("broken", seq=50))
    complete(world, granted(world, "broken"))
    after = world.farm.nodes.heartbeat(builders.beat("broken", seq=51))

    assert (early.drain, early.canaries) == (True, ())
    assert (due.drain, due.canaries) == (True, ["cpu"])
    assert (after.drain, after.canaries) == (False, ())
    assert status(world) is NodeStatus.AVAILABLE


def test_node_that_is_set_aside_claims_one_canary_and_no_more(world: FakeWorld) -> None:
    rebuild(world, slots=2)
    set_node_aside(world)
    with pytest.raises(NodeNotAccepting, match="is set aside"):
        granted(world, "broken")
    pass_until_canary(world, seq=1)
    granted(world, "broken")

    with pytest.raises(NodeNotAccepting, match="is set aside"):
        granted(world, "broken")


def rebuild(world: FakeWorld, *, slots: int) -> None:
    world.farm.nodes.remove("broken")
    world.farm.nodes.register(builders.registration("broken", slots=slots))


def test_canary_that_fails_doubles_the_wait_and_is_its_jobs_own_failure(world: FakeWorld) -> None:
    set_node_aside(world)
    pass_until_canary(world, seq=1)
    job = fail(world, granted(world, "broken"))
    pass_until_canary(world, seq=20)
    too_early = world.farm.nodes.heartbeat(builders.beat("broken", seq=70))
    pass_until_canary(world, seq=71, failed=1)

    assert job.failures == 1
    assert too_early.canaries == ()
    assert world.farm.nodes.heartbeat(builders.beat("broken", seq=99)).canaries == ["cpu"]
    assert "its last canary job failed as well" in (
        world.farm.nodes.get("broken").node.drain_reason or ""
    )


def test_node_drained_by_an_operator_gets_no_canary(world: FakeWorld) -> None:
    set_node_aside(world)
    world.farm.nodes.drain("broken", reason="to the workshop")
    pass_until_canary(world, seq=1)

    assert world.farm.nodes.heartbeat(builders.beat("broken", seq=50)).canaries == ()
    with pytest.raises(NodeNotAccepting, match="is draining"):
        granted(world, "broken")


def test_attempt_that_ran_on_while_its_node_was_set_aside_says_nothing_new(
    world: FakeWorld,
) -> None:
    world.farm.nodes.register(builders.registration("other", slots=4))
    world.farm.jobs.submit([builders.request()])
    rebuild(world, slots=2)
    straggler = granted(world, "broken")
    set_node_aside(world)
    before = world.farm.nodes.get("broken").node.set_aside
    job = fail(world, straggler)

    assert world.farm.nodes.get("broken").node.set_aside == before
    assert world.farm.jobs.get(job.id).failures == 0


# one GPU


@pytest.fixture
def gpus(store: Store) -> FakeWorld:
    world = FakeWorld.over(store, replace(RULES, set_aside_after=3))
    devices = (builders.cpu(slots=1), builders.gpu(0), builders.gpu(1))
    world.farm.nodes.register(builders.registration("broken", devices=devices))
    return world


def break_gpu(world: FakeWorld) -> None:
    for _ in range(3):
        submit(world, hardware=Hardware.NVENC)
        fail(world, granted(world, "broken", "gpu0"))
        world.clock.pass_seconds(0.001)


def test_bad_gpu_is_set_aside_and_its_node_works_on(gpus: FakeWorld) -> None:
    break_gpu(gpus)
    answer = gpus.farm.nodes.heartbeat(builders.beat("broken", seq=1))
    on_cpu = submit(gpus, hardware=Hardware.CPU)

    assert (answer.drain, answer.devices_aside) == (False, ["gpu0"])
    assert status(gpus) is NodeStatus.AVAILABLE
    with pytest.raises(NodeNotAccepting, match="gpu0 of node broken is set aside"):
        granted(gpus, "broken", "gpu0")
    assert granted(gpus, "broken", "cpu").job.id == on_cpu.id
    gpus.clock.pass_seconds(10)
    assert granted(gpus, "broken", "gpu1").job.failures == 0


def test_canary_job_lets_a_gpu_back(gpus: FakeWorld) -> None:
    break_gpu(gpus)
    pass_until_canary(gpus, seq=1)
    due = gpus.farm.nodes.heartbeat(builders.beat("broken", seq=50))
    gpus.clock.pass_seconds(600)
    complete(gpus, granted(gpus, "broken", "gpu0"))

    assert due.canaries == ["gpu0"]
    assert gpus.farm.nodes.get("broken").node.set_aside == {}


def test_success_on_another_device_does_not_clear_a_bad_gpu(gpus: FakeWorld) -> None:
    for _ in range(3):
        submit(gpus, hardware=Hardware.NVENC)
        fail(gpus, granted(gpus, "broken", "gpu0"))
        submit(gpus, hardware=Hardware.CPU)
        complete(gpus, granted(gpus, "broken", "cpu"))
        gpus.clock.pass_seconds(0.001)

    assert list(gpus.farm.nodes.get("broken").node.set_aside) == ["gpu0"]


def set_gpu_node_aside(world: FakeWorld) -> None:
    for hardware, device in [
        (Hardware.NVENC, "gpu0"),
        (Hardware.CPU, "cpu"),
        (Hardware.CPU, "cpu"),
    ]:
        submit(world, hardware=hardware)
        fail(world, granted(world, "broken", device))
        world.clock.pass_seconds(0.001)


def test_canary_of_a_node_runs_on_whichever_of_its_devices_has_a_job(gpus: FakeWorld) -> None:
    set_gpu_node_aside(gpus)
    cancel_all(gpus)
    submit(gpus, hardware=Hardware.NVENC)
    pass_until_canary(gpus, seq=1)
    due = gpus.farm.nodes.heartbeat(builders.beat("broken", seq=50))
    nothing = gpus.farm.attempts.claim(builders.claim("broken", "claim of the cpu"))
    grant = granted(gpus, "broken", "gpu1")

    assert list(due.canaries) == ["cpu", "gpu0", "gpu1"]
    assert nothing is None
    with pytest.raises(NodeNotAccepting, match="is set aside"):
        granted(gpus, "broken", "gpu0")
    complete(gpus, grant)
    assert gpus.farm.nodes.get("broken").node.set_aside == {}


def test_attempt_that_an_operator_paused_keeps_no_canary_away(world: FakeWorld) -> None:
    rebuild(world, slots=2)
    submit(world)
    paused = granted(world, "broken")
    set_node_aside(world)
    world.farm.jobs.pause(paused.job.id)
    for seq in range(1, 40):
        world.pass_farm_seconds(30, step=10)
        beat(world, paused, seq=seq, node_id="broken")

    assert granted(world, "broken").attempt.device == "cpu"


def test_failures_of_a_gpu_that_is_set_aside_do_not_count_against_its_node(
    gpus: FakeWorld,
) -> None:
    break_gpu(gpus)
    submit(gpus, hardware=Hardware.CPU)
    fail(gpus, granted(gpus, "broken", "cpu"))

    assert status(gpus) is NodeStatus.AVAILABLE


def cancel_all(world: FakeWorld) -> None:
    for job in world.farm.jobs.list(JobFilter(), limit=100):
        world.farm.jobs.cancel(job.id)


def test_gpu_that_is_set_aside_may_prove_itself_and_its_set_aside_node(gpus: FakeWorld) -> None:
    break_gpu(gpus)
    for _ in range(3):
        submit(gpus, hardware=Hardware.CPU)
        fail(gpus, granted(gpus, "broken", "cpu"))
        gpus.clock.pass_seconds(0.001)
    cancel_all(gpus)
    submit(gpus, hardware=Hardware.NVENC)
    pass_until_canary(gpus, seq=1)
    gpus.clock.pass_seconds(600)

    complete(gpus, granted(gpus, "broken", "gpu0"))

    assert status(gpus) is NodeStatus.AVAILABLE
    assert gpus.farm.nodes.get("broken").node.set_aside == {}
