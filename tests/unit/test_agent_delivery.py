"""What becomes of an attempt's work: run, commit, publish, report, or nothing left of it."""

import pytest

from ffrtmp.client import MasterRefused
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import (
    ClaimAnswer,
    CommitAnswer,
    CommitRequest,
    HeldAttempt,
    ResultRequest,
)
from tests.unit import agent_parts
from tests.unit.agent_parts import AWAY, STALE, Node
from tests.unit.test_agent_files import claim_of, sha
from workers import recovery
from workers.ledger import Held, StopReason
from workers.spool import Phase
from workers.staging import part_path

node = agent_parts.node


def test_finished_work_is_committed_published_and_reported(node: Node) -> None:
    held, journal = node.finished()

    assert node.delivery.deliver(held, journal)

    assert [verb for verb, _ in node.master.calls] == ["commit", "report"]
    assert node.files() == ["a.mp4"]
    assert node.ledger.attempts() == ()
    assert node.spool.journals() == []


def test_finished_work_waits_for_the_master_and_keeps_its_lease(node: Node) -> None:
    held, journal = node.finished()
    node.master.answers["commit"] = [AWAY, AWAY]

    assert not node.delivery.deliver(held, journal)
    assert node.delivery.run_pass() == 0
    assert node.ledger.attempts() == (held,)
    assert node.files() == [journal.temporary.name if journal.temporary else ""]

    assert node.delivery.run_pass() == 1
    assert node.files() == ["a.mp4"]


@pytest.mark.parametrize("lost", ["commit", "report"])
def test_next_process_delivers_what_an_earlier_one_could_not(node: Node, lost: str) -> None:
    held, journal = node.finished()
    node.master.answers[lost] = [AWAY]
    node.delivery.deliver(held, journal)
    successor = Node(node.folder)

    recovery.clear_unfinished(successor.spool)
    assert recovery.hold_finished(successor.spool, successor.ledger, successor.delivery) == 1
    assert len(successor.ledger.attempts()) == 1

    assert successor.delivery.run_pass() == 1
    assert successor.files() == ["a.mp4"]
    assert [body.status for body in successor.master.said("report")] == ["completed"]


def test_refused_commit_deletes_only_the_attempts_own_file(node: Node) -> None:
    held, journal = node.finished()
    (node.folder / "a.mp4").write_bytes(b"the winner's")
    node.master.answers["commit"] = [STALE]

    assert node.delivery.deliver(held, journal)

    assert node.files() == ["a.mp4"]
    assert (node.folder / "a.mp4").read_bytes() == b"the winner's"
    assert node.master.said("report") == []


def test_process_that_slept_after_its_commit_commits_again_before_publishing(node: Node) -> None:
    held, journal = node.finished()
    commit = node.master.commit

    def commit_then_sleep(job_id: str, attempt: int, body: CommitRequest) -> CommitAnswer:
        answer = commit(job_id, attempt, body)
        node.now += 60
        node.master.answers["commit"] = [STALE]
        return answer

    node.master.commit = commit_then_sleep  # type: ignore[method-assign]

    node.delivery.deliver(held, journal)

    assert len(node.master.said("commit")) == 2
    assert node.files() == []


def test_taken_destination_is_reported_as_a_failure_after_the_commit(node: Node) -> None:
    held, journal = node.finished()
    (node.folder / "a.mp4").write_bytes(b"foreign")

    node.delivery.deliver(held, journal)

    (body,) = node.master.said("report")
    assert (body.status, body.failure_reason) == ("failed", FailureClass.OUTPUT_EXISTS)
    assert node.files() == ["a.mp4"]
    assert (node.folder / "a.mp4").read_bytes() == b"foreign"


def test_report_whose_details_are_refused_is_sent_without_them(node: Node) -> None:
    held, journal = node.finished()
    node.master.answers["report"] = [MasterRefused(413, "too_large", "x")]

    assert node.delivery.deliver(held, journal)

    assert [body.logs for body in node.master.said("report")] == ["said", ""]


def test_finished_work_of_a_canceled_attempt_is_deleted(node: Node) -> None:
    held, journal = node.finished()
    held.stop(StopReason.CANCELED)

    assert node.delivery.deliver(held, journal)

    assert node.master.calls == []
    assert node.files() == []


def test_finished_work_survives_the_end_of_its_agent(node: Node) -> None:
    held, journal = node.finished()
    held.stop(StopReason.RELEASED)

    node.delivery.deliver(held, journal)

    assert node.files() == ["a.mp4"]


def test_work_lost_with_an_older_epoch_is_deleted(node: Node) -> None:
    held, journal = node.finished()
    node.master.answers["commit"] = [AWAY]
    node.delivery.deliver(held, journal)
    node.master.lost = [HeldAttempt(job_id="job-1", attempt=1)]

    node.registered()
    node.delivery.run_pass()

    assert node.files() == []
    assert node.ledger.attempts() == ()


def test_unfinished_attempt_of_an_earlier_process_leaves_nothing(node: Node) -> None:
    _, journal = node.finished(phase=Phase.RUNNING)
    node.spool.save(journal)

    assert recovery.clear_unfinished(node.spool) == 1

    assert node.files() == []
    assert node.spool.journals() == []


def test_leftover_that_cannot_be_removed_does_not_keep_the_agent_from_starting(
    node: Node,
) -> None:
    _, journal = node.finished(phase=Phase.RUNNING)
    (node.folder / "file").touch()
    node.spool.save(journal.model_copy(update={"temporary": node.folder / "file" / "a.part"}))

    assert recovery.clear_unfinished(node.spool) == 1

    assert node.spool.journals() == []


def run_one(node: Node, claim: ClaimAnswer) -> list[ResultRequest]:
    held = Held(job_id=claim.job_id, number=claim.attempt, lease=claim.lease)
    node.ledger.admit(held)
    node.runner().run(claim, held)
    return node.master.said("report")


def test_adopted_file_is_committed_and_reported_without_an_encode(node: Node) -> None:
    path = node.folder / "out.mp4"
    path.write_bytes(b"whole")

    (body,) = run_one(node, claim_of(output=str(path), committed=[sha(b"whole")]))

    assert (body.status, body.sha256, body.size) == ("completed", sha(b"whole"), 5)
    assert [said.sha256 for said in node.master.said("commit")] == [sha(b"whole")]
    assert path.read_bytes() == b"whole"


def test_adopting_attempt_removes_what_the_publisher_left_when_it_died(node: Node) -> None:
    path = node.folder / "out.mp4"
    path.write_bytes(b"whole")
    claim = claim_of(output=str(path), attempt=2, committed=[sha(b"whole")])
    second_name = part_path(path, claim.job_id, 1)
    second_name.hardlink_to(path)

    (body,) = run_one(node, claim)

    assert body.status == "completed"
    assert not second_name.exists()
    assert path.read_bytes() == b"whole"


def test_permanent_refusal_is_reported_with_its_class(node: Node) -> None:
    (body,) = run_one(node, claim_of(input="/nowhere/a.mp4"))

    assert body.failure_reason is FailureClass.INPUT_MISSING
    assert node.ledger.attempts() == ()
    assert node.spool.journals() == []


def test_ffmpeg_that_cannot_start_is_the_agents_failure_and_the_runner_lives(node: Node) -> None:
    first = run_one(node, claim_of())
    assert [body.failure_reason for body in first] == [FailureClass.AGENT]

    assert len(run_one(node, claim_of(attempt=3))) == 2


def test_unexpected_error_is_one_failed_attempt(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_memory(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("workers.runner.stage", no_memory)

    (body,) = run_one(node, claim_of())

    assert body.failure_reason is FailureClass.AGENT
    assert body.error == "unexpected MemoryError: "


def test_attempt_stopped_before_its_start_is_given_back(node: Node) -> None:
    claim = claim_of()
    held = Held(job_id=claim.job_id, number=claim.attempt, lease=claim.lease)
    node.ledger.admit(held)
    held.stop(StopReason.RELEASED)
    node.master.answers["release"] = [AWAY]

    node.runner().run(claim, held)

    assert [verb for verb, _ in node.master.calls] == ["release", "release"]
    assert node.ledger.attempts() == ()
