"""One pass makes true again what should be, on both databases."""

from datetime import timedelta

import pytest

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.errors import StaleLease
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.ranking import Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.attempts import Grant
from ffrtmp.services.counts import Counts
from tests import builders
from tests.fakes import FakeWorld


def running(world: FakeWorld, **asked: object) -> Grant:
    world.farm.jobs.submit([builders.request(**asked)])  # type: ignore[arg-type]
    world.farm.nodes.register(builders.registration())
    grant = world.farm.attempts.claim(builders.claim())
    assert grant is not None
    return grant


def listed(world: FakeWorld, grant: Grant) -> Grant:
    """The same, once its node has named it in a heartbeat."""
    world.farm.nodes.heartbeat(
        builders.beat(grant.attempt.node_id, builders.progress_of(grant), seq=1)
    )
    return grant


def stalled(world: FakeWorld, grant: Grant) -> Grant:
    """The same, once its node has said for too long that nothing moves."""
    said = builders.progress_of(grant, mark="still")
    for seq in (2, 3):
        world.farm.nodes.heartbeat(builders.beat(grant.attempt.node_id, said, seq=seq))
        world.pass_farm_seconds(35)
    assert world.farm.jobs.get(grant.job.id).failure_reason is FailureClass.STALLED
    return grant


def test_silent_node_is_offline_and_its_job_is_pending_again(world: FakeWorld) -> None:
    grant = running(world)

    world.pass_farm_seconds(50)
    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING
    world.pass_farm_seconds(20)

    job = world.farm.jobs.get(grant.job.id)
    assert (job.status, job.failures) == (JobStatus.PENDING, 1)
    assert job.failure_reason is FailureClass.NODE_LOST
    assert world.farm.nodes.get("node-1").node.is_offline


def test_job_whose_nodes_are_always_lost_ends_as_failed(world: FakeWorld) -> None:
    grant = running(world, max_retries=1)
    world.pass_farm_seconds(140)
    world.farm.nodes.register(builders.registration())
    assert world.farm.attempts.claim(builders.claim(claim_id="c2", epoch=2)) is not None
    world.pass_farm_seconds(80)

    job = world.farm.jobs.get(grant.job.id)
    assert (job.status, job.failures) == (JobStatus.FAILED, 2)
    outcomes = [attempt.outcome for attempt in world.farm.jobs.attempts(job.id)]
    assert outcomes == [Outcome.NODE_LOST] * 2


def test_outage_of_the_api_expires_nothing(world: FakeWorld) -> None:
    grant = running(world)

    for _ in range(200):
        world.clock.pass_seconds(5)
        world.farm.reconciler.run_once()

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING
    assert not world.farm.nodes.get("node-1").node.is_offline


def test_outage_of_control_and_jumps_of_the_clock_expire_nothing(world: FakeWorld) -> None:
    grant = running(world)

    for seconds in (3600, -7200, 600):
        world.clock.pass_seconds(seconds)
        world.farm.prove_alive()
        world.farm.reconciler.run_once()

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


def test_heartbeat_late_in_a_long_gap_between_passes_counts_in_full(world: FakeWorld) -> None:
    grant = running(world)
    world.pass_farm_seconds(55)
    world.clock.pass_seconds(9)
    world.farm.nodes.heartbeat(builders.beat("node-1", builders.progress_of(grant)))

    world.pass_farm_seconds(55)

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


def test_attempt_whose_progress_stands_still_is_stalled_though_its_node_beats(
    world: FakeWorld,
) -> None:
    grant = running(world, queue=Queue.LIVE)
    for seq in range(1, 8):
        world.pass_farm_seconds(5)
        world.farm.nodes.heartbeat(builders.beat("node-1", builders.progress_of(grant), seq=seq))
    world.pass_farm_seconds(5)

    job = world.farm.jobs.get(grant.job.id)
    assert (job.status, job.failure_reason) == (JobStatus.PENDING, FailureClass.STALLED)
    assert "node-1" in world.bell.nudged


def test_attempt_that_its_node_has_not_named_yet_is_not_stalled(world: FakeWorld) -> None:
    grant = running(world, queue=Queue.LIVE)

    world.pass_farm_seconds(40)

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


def test_attempt_that_moves_is_never_stalled_however_long_it_takes(world: FakeWorld) -> None:
    grant = running(world, queue=Queue.LIVE)
    for seq in range(1, 60):
        world.pass_farm_seconds(5)
        said = builders.progress_of(grant, mark=str(seq))
        world.farm.nodes.heartbeat(builders.beat("node-1", said, seq=seq))

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


def test_attempt_whose_node_was_silent_for_less_than_its_timeout_is_not_stalled(
    world: FakeWorld,
) -> None:
    grant = listed(world, running(world, queue=Queue.LIVE))
    world.pass_farm_seconds(50)
    moved = builders.progress_of(grant, mark="moved meanwhile")
    world.farm.nodes.heartbeat(builders.beat("node-1", moved, seq=2))
    world.pass_farm_seconds(20)

    job = world.farm.jobs.get(grant.job.id)
    assert (job.status, job.attempt, job.failures) == (JobStatus.RUNNING, 1, 0)


def test_lost_hints_are_rung_again_in_one_pass_best_first_by_count(world: FakeWorld) -> None:
    jobs = world.farm.jobs.submit(
        [builders.request(), builders.request(queue=Queue.LIVE), builders.request()]
    )
    world.bell.hints.clear()

    assert world.farm.reconciler.run_once().hints_pushed == 3
    assert [hint.job_id for hint in world.bell.hints] == [jobs[1].id, jobs[0].id, jobs[2].id]
    assert world.farm.reconciler.run_once().hints_pushed == 0


def test_retry_that_falls_due_is_rung(world: FakeWorld) -> None:
    world.farm.attempts.report(builders.failed(running(world)))
    world.bell.hints.clear()
    assert world.farm.reconciler.run_once().hints_pushed == 0

    world.clock.pass_seconds(3)

    assert world.farm.reconciler.run_once().hints_pushed == 1


def test_retry_is_not_postponed_by_a_clock_that_steps_back(world: FakeWorld) -> None:
    job = world.farm.attempts.report(builders.failed(running(world)))
    world.clock.pass_seconds(-7200)
    world.farm.reconciler.run_once()

    retry_at = world.farm.jobs.get(job.id).retry_at
    assert retry_at is not None
    assert retry_at - world.clock.moment <= timedelta(seconds=300)


def test_node_is_not_avoided_for_long_by_a_clock_that_steps_back(world: FakeWorld) -> None:
    grant = running(world)
    world.farm.nodes.register(builders.registration("node-2"))
    world.farm.attempts.report(builders.failed(grant))
    world.farm.nodes.drain("node-2", reason=None)
    world.clock.pass_seconds(-7200)
    world.farm.reconciler.run_once()
    world.clock.pass_seconds(305)

    assert world.farm.attempts.claim(builders.claim(claim_id="c2")) is not None


def test_pass_with_the_broker_away_still_does_the_rest(world: FakeWorld) -> None:
    grant = running(world)
    world.farm.jobs.submit([builders.request()])
    world.bell.is_up = False

    world.pass_farm_seconds(70)

    assert not world.farm.reconciler.run_once().broker_answers
    assert world.farm.jobs.get(grant.job.id).status is JobStatus.PENDING


def test_job_that_only_one_node_can_run_rings_that_nodes_own_queue(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-1", capabilities=("auto:h264",)))
    world.farm.nodes.register(builders.registration("node-2", capabilities=("auto:av1",)))
    world.farm.jobs.submit([builders.request(requires="auto:av1")])

    world.farm.reconciler.run_once()

    assert "node.node-2" in [hint.queue_name for hint in world.bell.hints]


def test_node_without_room_is_not_rung_where_another_has_some(world: FakeWorld) -> None:
    """The busy one was heard last, so it stands first."""
    able = ("auto:av1",)
    world.farm.nodes.register(builders.registration("deaf", capabilities=()))
    world.farm.nodes.register(builders.registration("idle", capabilities=able))
    world.clock.pass_seconds(5)
    world.farm.nodes.register(builders.registration("busy", capabilities=able))
    world.farm.jobs.submit([builders.request(requires="auto:av1") for _ in range(2)])
    assert world.farm.attempts.claim(builders.claim("busy")) is not None

    world.farm.reconciler.run_once()

    rung = {hint.queue_name for hint in world.bell.hints}
    assert "node.idle" in rung
    assert "node.busy" not in rung


def test_second_pass_at_the_same_moment_changes_nothing(world: FakeWorld) -> None:
    running(world)
    world.pass_farm_seconds(70)
    again = world.farm.reconciler.run_once()

    assert (again.expired, again.stalled, again.offline) == (0, 0, 0)


def test_stream_taken_from_its_node_waits_until_it_cannot_be_publishing(world: FakeWorld) -> None:
    stalled(world, running(world, queue=Queue.LIVE, is_stream=True))
    world.farm.nodes.register(builders.registration("node-2"))

    assert world.farm.attempts.claim(builders.claim("node-2", "c2")) is None
    world.pass_farm_seconds(30)
    assert world.farm.attempts.claim(builders.claim("node-2", "c3")) is not None


def test_stream_whose_node_says_it_ended_may_be_claimed_at_once(world: FakeWorld) -> None:
    grant = stalled(world, running(world, queue=Queue.LIVE, is_stream=True))
    assert world.farm.jobs.get(grant.job.id).hold_until_farm is not None

    world.farm.attempts.report(builders.failed(grant))

    assert world.farm.jobs.get(grant.job.id).hold_until_farm is None


def test_stream_is_not_freed_by_the_node_that_had_it_before_the_last_one(
    world: FakeWorld,
) -> None:
    first = listed(world, running(world, queue=Queue.LIVE, is_stream=True))
    world.pass_farm_seconds(80)
    world.farm.nodes.register(builders.registration("node-2"))
    second = world.farm.attempts.claim(builders.claim("node-2", "c2"))
    assert second is not None
    stalled(world, second)
    assert world.farm.jobs.get(first.job.id).hold_until_farm is not None

    with pytest.raises(StaleLease):
        world.farm.attempts.report(builders.failed(first))

    assert world.farm.jobs.get(first.job.id).hold_until_farm is not None


def test_stream_keeps_no_hold_after_a_refused_last_word_of_its_node(world: FakeWorld) -> None:
    grant = running(world, queue=Queue.LIVE, is_stream=True)
    world.farm.jobs.cancel(grant.job.id)
    assert world.farm.jobs.get(grant.job.id).hold_until_farm is not None

    with pytest.raises(StaleLease):
        world.farm.attempts.report(builders.failed(grant))

    assert world.farm.jobs.get(grant.job.id).hold_until_farm is None


def test_retention_removes_old_finished_jobs_and_keeps_the_rest(world: FakeWorld) -> None:
    old = running(world)
    world.farm.attempts.report(builders.failed(old, FailureClass.BAD_INPUT))
    (waiting,) = world.farm.jobs.submit([builders.request()])
    world.clock.pass_seconds(31 * 86_400)

    removed = world.farm.retention.run_once()

    assert removed.jobs == 1
    assert world.farm.jobs.get(waiting.id).status is JobStatus.PENDING
    with pytest.raises(Exception, match="there is no job"):
        world.farm.jobs.get(old.job.id)


def test_counts_are_kept_for_scrapes(world: FakeWorld) -> None:
    running(world)
    counts: Counts = world.farm.counts
    counts.run_once()

    assert counts.last()["jobs"]["running"] == 1
    assert counts.last()["nodes"]["busy"] == 1
    assert [line.rank for line in world.farm.queues.board().lines if line.running] == [4]
