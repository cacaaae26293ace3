"""Claims, leases, commits and results, on both databases."""

import threading

import pytest

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.errors import (
    HashConflict,
    NodeNotAccepting,
    NotCommitted,
    NotFound,
    StaleEpoch,
    StaleLease,
)
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.attempts import Grant
from tests import builders
from tests.fakes import FakeWorld


def submit(world: FakeWorld, count: int = 1, **asked: object) -> list[str]:
    requests = [builders.request(**asked) for _ in range(count)]  # type: ignore[arg-type]
    return [job.id for job in world.farm.jobs.submit(requests)]


def claim(world: FakeWorld, claim_id: str = "claim-1", node_id: str = "node-1") -> Grant | None:
    return world.farm.attempts.claim(builders.claim(node_id, claim_id))


def granted(world: FakeWorld, claim_id: str = "claim-1", node_id: str = "node-1") -> Grant:
    grant = claim(world, claim_id, node_id)
    assert grant is not None
    return grant


def commit(world: FakeWorld, grant: Grant, sha256: str = builders.SHA_A) -> None:
    world.farm.attempts.commit(
        grant.job.id,
        grant.attempt.number,
        node_id=grant.attempt.node_id,
        lease=grant.attempt.lease,
        size=7,
        sha256=sha256,
    )


@pytest.fixture(autouse=True)
def node(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration(slots=2))


def test_claim_gives_the_best_ranked_job_whatever_was_submitted_first(world: FakeWorld) -> None:
    submit(world, queue=Queue.BATCH, priority=Priority.HIGH)
    (live,) = submit(world, queue=Queue.LIVE, priority=Priority.LOW)

    assert granted(world).job.id == live


def test_claim_within_a_rank_is_first_in_first_out(world: FakeWorld) -> None:
    first, second = submit(world, 2)

    assert [granted(world, "c1").job.id, granted(world, "c2").job.id] == [first, second]


def test_same_claim_id_gets_the_same_lease_and_another_gets_another_job(world: FakeWorld) -> None:
    submit(world, 2)

    first, again, other = granted(world, "c1"), granted(world, "c1"), granted(world, "c2")

    assert again.attempt == first.attempt
    assert other.job.id != first.job.id


def test_claim_of_an_ended_attempt_gets_nothing(world: FakeWorld) -> None:
    submit(world, 2)
    world.farm.attempts.report(builders.failed(granted(world)))

    assert claim(world) is None


def test_node_never_holds_more_leases_than_slots(world: FakeWorld) -> None:
    submit(world, 3)

    assert [claim(world, f"c{n}") is not None for n in range(3)] == [True, True, False]


def test_commit_is_a_word_of_its_node_and_a_repeat_changes_nothing(world: FakeWorld) -> None:
    submit(world)
    grant = granted(world)
    world.farm.nodes.heartbeat(builders.beat(seq=1))
    commit(world, grant)
    with world.farm.store.read() as tx:
        first = tx.attempts.get(grant.job.id, 1)
    commit(world, grant)
    with world.farm.store.read() as tx:
        second = tx.attempts.get(grant.job.id, 1)

    assert first == second
    assert first is not None
    assert first.omissions == 0


def test_claim_respects_queues_and_capabilities(world: FakeWorld) -> None:
    world.farm.nodes.register(
        builders.registration("node-2", queues=(Queue.BATCH,), capabilities=("auto:hevc",))
    )
    submit(world, queue=Queue.LIVE, requires="auto:hevc")
    submit(world, queue=Queue.BATCH, requires="auto:h264")
    (right,) = submit(world, queue=Queue.BATCH, requires="auto:hevc")

    assert granted(world, "c1", "node-2").job.id == right
    assert claim(world, "c2", "node-2") is None


def test_eight_threads_claiming_at_once_share_the_jobs_without_overlap(world: FakeWorld) -> None:
    for number in range(2, 10):
        world.farm.nodes.register(builders.registration(f"node-{number}", slots=5))
    submit(world, 20)
    got: list[str] = []
    errors: list[BaseException] = []

    def work(node_id: str) -> None:
        try:
            for turn in range(5):
                grant = claim(world, f"c{turn}", node_id)
                if grant is not None:
                    got.append(grant.job.id)
        except BaseException as error:  # noqa: BLE001
            errors.append(error)

    threads = [threading.Thread(target=work, args=(f"node-{n}",)) for n in range(2, 10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert errors == []
    assert len(got) == len(set(got)) == 20


def test_draining_node_gets_nothing(world: FakeWorld) -> None:
    submit(world)
    world.farm.nodes.drain("node-1", reason=None)

    with pytest.raises(NodeNotAccepting):
        claim(world)


def test_claim_by_an_earlier_epoch_is_refused(world: FakeWorld) -> None:
    submit(world)
    world.farm.nodes.register(builders.registration(slots=2))

    with pytest.raises(StaleEpoch):
        claim(world)


def test_committed_and_reported_job_is_completed_with_its_hash(world: FakeWorld) -> None:
    submit(world)
    grant = granted(world)
    commit(world, grant)

    job = world.farm.attempts.report(builders.completed(grant))

    assert job.status is JobStatus.COMPLETED
    assert job.progress == 1.0
    assert job.result == {"sha256": builders.SHA_A, "size_bytes": 7}


def test_commit_and_result_sent_twice_are_answered_the_same(world: FakeWorld) -> None:
    submit(world)
    grant = granted(world)
    commit(world, grant)
    commit(world, grant)
    first = world.farm.attempts.report(builders.completed(grant))
    events = world.farm.jobs.events(grant.job.id)

    assert world.farm.attempts.report(builders.completed(grant)) == first
    assert world.farm.jobs.events(grant.job.id) == events


def test_result_without_commit_is_refused(world: FakeWorld) -> None:
    submit(world)

    with pytest.raises(NotCommitted):
        world.farm.attempts.report(builders.completed(granted(world)))


def test_same_lease_with_another_hash_is_refused(world: FakeWorld) -> None:
    submit(world)
    grant = granted(world)
    commit(world, grant)

    with pytest.raises(HashConflict):
        commit(world, grant, builders.SHA_B)
    with pytest.raises(HashConflict):
        world.farm.attempts.report(builders.completed(grant, sha256=builders.SHA_B))


def test_wrong_lease_changes_nothing(world: FakeWorld) -> None:
    submit(world)
    grant = granted(world)
    forged = builders.failed(grant)
    object.__setattr__(forged, "lease", "x" * 20)

    with pytest.raises(StaleLease):
        world.farm.attempts.report(forged)

    assert world.farm.jobs.get(grant.job.id).status is JobStatus.RUNNING


def test_result_of_an_unknown_job_is_not_found(world: FakeWorld) -> None:
    submit(world)
    unknown = builders.failed(granted(world))
    object.__setattr__(unknown, "job_id", "0" * 36)

    with pytest.raises(NotFound):
        world.farm.attempts.report(unknown)


def test_transient_failure_waits_with_backoff_and_spends_one_failure(world: FakeWorld) -> None:
    submit(world)
    job = world.farm.attempts.report(builders.failed(granted(world)))

    assert (job.status, job.failures) == (JobStatus.PENDING, 1)
    assert job.retry_at is not None
    assert (job.retry_at - world.clock.moment).total_seconds() == 2.5
    assert claim(world, "c2") is None

    world.clock.pass_seconds(3)

    assert granted(world, "c3").attempt.number == 2


def test_permanent_failure_runs_once(world: FakeWorld) -> None:
    submit(world)
    job = world.farm.attempts.report(builders.failed(granted(world), FailureClass.BAD_INPUT))

    assert (job.status, job.retry_count) == (JobStatus.FAILED, 0)
    assert job.failure_reason is FailureClass.BAD_INPUT


def test_transient_failures_end_as_failed_when_the_budget_is_spent(world: FakeWorld) -> None:
    (job_id,) = submit(world)
    for turn in range(3):
        world.farm.attempts.report(builders.failed(granted(world, f"c{turn}")))
        world.clock.pass_seconds(600)

    job = world.farm.jobs.get(job_id)
    assert (job.status, job.failures, job.retry_count) == (JobStatus.FAILED, 3, 2)
    assert [a.number for a in world.farm.jobs.attempts(job_id)] == [1, 2, 3]


def test_released_attempt_spends_nothing(world: FakeWorld) -> None:
    submit(world)
    grant = granted(world)
    for _ in range(2):
        world.farm.attempts.release(
            grant.job.id, 1, node_id="node-1", lease=grant.attempt.lease, reason="drain"
        )

    job = world.farm.jobs.get(grant.job.id)
    assert (job.status, job.failures) == (JobStatus.PENDING, 0)
    assert granted(world, "c2").attempt.number == 2


def test_retry_prefers_a_node_it_has_not_failed_on_but_does_not_wait_for_ever(
    world: FakeWorld,
) -> None:
    world.farm.nodes.register(builders.registration("node-2"))
    submit(world)
    world.farm.attempts.report(builders.failed(granted(world)))
    world.clock.pass_seconds(3)

    assert claim(world, "c2") is None
    world.clock.pass_seconds(5)
    assert claim(world, "c3") is not None


def test_retry_waits_for_no_other_node_where_none_has_room(world: FakeWorld) -> None:
    world.farm.nodes.register(builders.registration("node-2"))
    submit(world, 2)
    granted(world, "c1", "node-2")
    world.farm.attempts.report(builders.failed(granted(world, "c2")))
    world.clock.pass_seconds(3)

    assert claim(world, "c3") is not None


def test_canceled_attempt_cannot_commit(world: FakeWorld) -> None:
    submit(world)
    grant = granted(world)
    world.farm.jobs.cancel(grant.job.id)

    with pytest.raises(StaleLease):
        commit(world, grant)


def test_next_claim_carries_what_a_lost_attempt_committed(world: FakeWorld) -> None:
    submit(world)
    commit(world, granted(world))
    world.pass_farm_seconds(70)
    world.clock.pass_seconds(60)
    world.farm.nodes.register(builders.registration("node-2"))

    assert granted(world, "c9", "node-2").committed_sha256 == [builders.SHA_A]


def test_log_chunks_continue_the_log_and_the_result_replaces_it(world: FakeWorld) -> None:
    submit(world)
    grant = granted(world)
    for offset, text in ((0, "one "), (4, "two"), (4, "two"), (99, "gap")):
        world.farm.attempts.append_log(
            grant.job.id,
            1,
            node_id="node-1",
            lease=grant.attempt.lease,
            offset=offset,
            text=text,
        )

    assert world.farm.jobs.log(grant.job.id).text == "one two"

    world.farm.attempts.report(builders.failed(grant))
    assert world.farm.jobs.log(grant.job.id).error == "it broke"


def test_log_keeps_its_length_where_a_character_cannot_be_stored(world: FakeWorld) -> None:
    submit(world)
    grant = granted(world)
    for offset, text in ((0, "a\x00"), (2, "b\x00"), (4, "c")):
        world.farm.attempts.append_log(
            grant.job.id, 1, node_id="node-1", lease=grant.attempt.lease, offset=offset, text=text
        )

    assert world.farm.jobs.log(grant.job.id).text == "a\ufffdb\ufffdc"


def test_stale_attempt_changes_nothing_after_its_job_ran_elsewhere(world: FakeWorld) -> None:
    submit(world)
    zombie = granted(world)
    world.pass_farm_seconds(70)
    world.clock.pass_seconds(60)
    world.farm.nodes.register(builders.registration("node-2"))
    winner = granted(world, "c2", "node-2")
    commit(world, winner)
    done = world.farm.attempts.report(builders.completed(winner))

    with pytest.raises(StaleLease):
        world.farm.attempts.report(builders.failed(zombie))

    assert world.farm.jobs.get(done.id) == done
    outcomes = [attempt.outcome for attempt in world.farm.jobs.attempts(done.id)]
    assert outcomes == [Outcome.NODE_LOST, Outcome.COMPLETED]
