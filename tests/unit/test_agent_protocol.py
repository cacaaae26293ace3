"""What the agent says to the master, and what it makes of the answers."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.client import ClientError, MasterRefused, MasterUnavailable, MasterUnreachable
from ffrtmp.domain.attempt import Order
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import (
    AttemptOrder,
    ClaimAnswer,
    ClaimRequest,
    CommitAnswer,
    CommitRequest,
    Heartbeat,
    HeartbeatAnswer,
    HeldAttempt,
    JobAnswer,
    LogChunk,
    NodeRegistration,
    RegistrationAnswer,
    ReleaseRequest,
    ResultRequest,
)
from tests.unit.test_agent_files import claim_of, sha
from workers import recovery
from workers.claims import Claims
from workers.delivery import Delivery
from workers.encoder import Encoder
from workers.errors import AddressTaken, AgentError, KeyRefused
from workers.heartbeat import Heart
from workers.intake import Intake, Listeners
from workers.ledger import Held, Ledger, StopReason
from workers.poller import Poller
from workers.registration import Registrar
from workers.runner import Runner
from workers.slots import Slots
from workers.spool import Journal, Phase, Spool
from workers.staging import Places, part_path

NODE = "777a4c21-8691-47bc-bd68-cdfd0f43a4d5"
LEASE = "lease-lease-lease-lease"
AWAY = MasterUnreachable("nobody answers")
STALE = MasterRefused(409, "stale_lease", "attempt 1 has ended")
STALE_EPOCH = MasterRefused(409, "stale_epoch", "registered again since")


def registration_answer(epoch: int, lost: list[HeldAttempt]) -> RegistrationAnswer:
    return RegistrationAnswer.model_validate(
        {
            "id": NODE,
            "name": "one",
            "address": "one",
            "type": "server",
            "status": "available",
            "slots": 1,
            "slots_busy": 0,
            "queues": ["live"],
            "capabilities": [],
            "hardware": {},
            "load": {},
            "last_heartbeat": "2026-01-01T00:00:00Z",
            "registered_at": "2026-01-01T00:00:00Z",
            "running": [],
            "version": "1",
            "epoch": epoch,
            "broker_url": None,
            "node_timeout_seconds": 100.0,
            "lease_release": lost,
        }
    )


@dataclass
class ScriptedMaster:
    """Answers each call with what was put first in ``answers`` for it; an error is raised."""

    answers: dict[str, list[Any]] = field(default_factory=dict)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    epoch: int = 0
    lost: list[HeldAttempt] = field(default_factory=list)

    def said(self, verb: str) -> list[Any]:
        return [body for name, body in self.calls if name == verb]

    def register(self, body: NodeRegistration) -> RegistrationAnswer:
        self._answer("register", body)
        self.epoch += 1
        return registration_answer(self.epoch, self.lost)

    def claim(self, body: ClaimRequest) -> ClaimAnswer | None:
        found: ClaimAnswer | None = self._answer("claim", body)
        return found

    def heartbeat(self, node_id: str, body: Heartbeat) -> HeartbeatAnswer:
        orders = self._answer("heartbeat", body, node_id) or []
        return HeartbeatAnswer(attempts=orders, drain=False, node_timeout_seconds=100)

    def commit(self, job_id: str, attempt: int, body: CommitRequest) -> CommitAnswer:
        self._answer("commit", body, job_id, attempt)
        return CommitAnswer(status=JobStatus.COMMITTING)

    def report(self, body: ResultRequest) -> JobAnswer:
        self._answer("report", body)
        return JobAnswer.model_construct()  # type: ignore[call-arg]

    def release(self, job_id: str, attempt: int, body: ReleaseRequest) -> None:
        self._answer("release", body, job_id, attempt)

    def append_log(self, job_id: str, attempt: int, body: LogChunk) -> None:
        self._answer("append_log", body, job_id, attempt)

    def _answer(self, verb: str, body: Any, *about: object) -> Any:
        assert all(about), "an id is missing"
        self.calls.append((verb, body))
        script = self.answers.get(verb, [])
        answer = script.pop(0) if script else None
        if isinstance(answer, Exception):
            raise answer
        return answer


class Node:
    """An agent's parts around a scripted master; ``now`` is its clock."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.master = ScriptedMaster()
        self.now = 0.0
        self.stop = threading.Event()
        self.ledger = Ledger()
        self.spool = Spool(folder / "attempts")
        self.registrar = Registrar(
            client=self.master,
            describe=lambda: NodeRegistration(address="one"),
            on_lost=lambda lost: recovery.drop_lost(self.ledger, lost),
        )
        self.delivery = self.new_delivery()

    def registered(self) -> "Node":
        assert self.registrar.register(self.stop) is not None
        return self

    def new_delivery(self) -> Delivery:
        return Delivery(
            client=self.master,
            spool=self.spool,
            ledger=self.ledger,
            node_timeout_seconds=lambda: 100.0,
            now=lambda: self.now,
        )

    def claims(self, on_refused: Callable[[], None] = lambda: None) -> Claims:
        return Claims(
            client=self.master,
            registrar=self.registrar,
            ledger=self.ledger,
            stop=self.stop,
            on_refused=on_refused,
        )

    def heart(self) -> Heart:
        return Heart(
            client=self.master,
            registrar=self.registrar,
            ledger=self.ledger,
            load=dict,
            slots_lost=lambda: 0,
            idle_seconds=1,
            busy_seconds=1,
            on_drain=lambda _: None,
            on_beat=lambda: None,
        )

    def runner(self, ffmpeg: Path = Path("/nonexistent/ffmpeg")) -> Runner:
        return Runner(
            node_id=NODE,
            client=self.master,
            encoder=Encoder(ffmpeg=ffmpeg, threads=1),
            places=Places(output_folder=self.folder / "output"),
            spool=self.spool,
            ledger=self.ledger,
            delivery=self.delivery,
            on_end=lambda _: None,
            kill_seconds=30.0,
        )

    def finished(self, *, phase: Phase = Phase.ENCODED) -> tuple[Held, Journal]:
        """A whole file under its temporary name, waiting to be committed."""
        destination = self.folder / "a.mp4"
        temporary = part_path(destination, "job-1", 1)
        temporary.write_bytes(b"whole")
        result = ResultRequest(
            job_id="job-1",
            node_id=NODE,
            attempt=1,
            lease=LEASE,
            status="completed",
            sha256=sha(b"whole"),
            size=5,
            logs="said",
        )
        journal = Journal(
            job_id="job-1",
            attempt=1,
            lease=LEASE,
            phase=phase,
            destination=destination,
            temporary=temporary,
            sha256=sha(b"whole"),
            size=5,
            result=result,
        )
        held = Held(job_id="job-1", number=1, lease=LEASE)
        self.ledger.admit(held)
        return held, journal

    def files(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.is_file())


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_claim_keeps_its_id_until_the_master_answers(node: Node) -> None:
    node.registered().master.answers["claim"] = [AWAY, MasterUnavailable(503, "x", "x"), claim_of()]

    taken = node.claims().take("hinted")

    assert taken is not None
    ids = {body.claim_id for body in node.master.said("claim")}
    assert len(ids) == 1
    assert node.ledger.attempts() == (taken[1],)
    assert node.ledger.build_heartbeat().claims_in_flight == ()


def test_claim_without_work_leaves_nothing_behind(node: Node) -> None:
    assert node.registered().claims().take(None) is None
    assert node.ledger.build_heartbeat().claims_in_flight == ()


def test_claim_of_a_stale_epoch_registers_again_and_asks_again(node: Node) -> None:
    node.registered().master.answers["claim"] = [STALE_EPOCH, claim_of()]

    assert node.claims().take(None) is not None

    assert [body.epoch for body in node.master.said("claim")] == [1, 2]


def test_claim_of_a_node_that_is_not_accepted_is_dropped_and_told(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.claims.REFUSED_PAUSE_SECONDS", 0.0)
    told: list[bool] = []
    node.registered().master.answers["claim"] = [MasterRefused(409, "node_not_accepting", "x")]

    assert node.claims(on_refused=lambda: told.append(True)).take(None) is None

    assert told == [True]


def test_claim_gives_up_when_the_agent_stops(node: Node) -> None:
    node.registered().master.answers["claim"] = [AWAY] * 100
    node.stop.set()

    assert node.claims().take(None) is None


def test_registration_repeats_until_the_master_is_there(node: Node) -> None:
    node.master.answers["register"] = [AWAY]

    assert node.registered().registrar.session.epoch == 1


@pytest.mark.parametrize(
    ("refused", "meaning"),
    [
        (MasterRefused(409, "address_taken", "Node with address X is registered"), AddressTaken),
        (MasterRefused(401, "unauthenticated", "no"), KeyRefused),
        (MasterRefused(422, "invalid", "no"), AgentError),
    ],
)
def test_refused_registration_ends_the_agent_in_the_masters_words(
    node: Node, refused: MasterRefused, meaning: type[AgentError]
) -> None:
    node.master.answers["register"] = [refused]

    with pytest.raises(meaning, match=refused.message):
        node.registrar.register(node.stop)


def test_only_one_of_many_threads_registers_again(node: Node) -> None:
    node.registered()

    epochs = [node.registrar.renew(1).epoch for _ in range(3)]

    assert epochs == [2, 2, 2]
    assert len(node.master.said("register")) == 2


def test_heartbeat_stops_what_is_canceled_and_lets_the_rest_go_on(node: Node) -> None:
    held = [Held(job_id="job-1", number=n, lease=LEASE) for n in (1, 2, 3)]
    for one in held:
        node.ledger.admit(one)
    orders = zip(held, (Order.CANCEL, Order.GONE, Order.GO_ON), strict=True)
    node.registered().master.answers["heartbeat"] = [
        [AttemptOrder(job_id="job-1", attempt=one.number, order=order) for one, order in orders]
    ]

    assert node.heart().beat()

    reasons = [one.stop_reason for one in held]
    assert reasons == [StopReason.CANCELED, StopReason.GONE, None]


def test_every_built_heartbeat_counts_even_without_an_answer(node: Node) -> None:
    node.registered().master.answers["heartbeat"] = [AWAY]
    heart = node.heart()

    assert [heart.beat(), heart.beat()] == [False, True]

    assert [body.seq for body in node.master.said("heartbeat")] == [1, 2]


@pytest.mark.parametrize(
    "refused", [STALE_EPOCH, MasterRefused(404, "not_found", "x"), MasterRefused(401, "x", "x")]
)
def test_heartbeat_of_a_forgotten_process_registers_again(
    node: Node, refused: MasterRefused
) -> None:
    node.registered().master.answers["heartbeat"] = [refused]

    assert not node.heart().beat()

    assert node.registrar.session.epoch == 2


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


def intake_of(node: Node, slots: Slots, *, has_room: bool = True) -> Intake:
    return Intake(
        slots=slots,
        claims=node.claims(),
        run=lambda _claim, held: node.ledger.remove(held),
        has_room=lambda: has_room,
        closing=node.stop,
        listeners=Listeners(
            on_change=lambda: None, on_free_slot=lambda: None, on_hint=lambda _: None
        ),
    )


def test_hint_whose_sender_is_gone_claims_nothing(node: Node) -> None:
    intake_of(node.registered(), Slots(1)).take_hint("job-1", is_wanted=lambda: False)

    assert node.master.said("claim") == []


def test_slot_is_free_again_after_each_hint(node: Node) -> None:
    slots = Slots(1)
    node.registered().master.answers["claim"] = [claim_of(), None, ClientError("x")]
    intake = intake_of(node, slots)

    for _ in range(3):
        intake.take_hint("job-1", is_wanted=lambda: True)

    assert slots.free == 1
    assert len(node.master.said("claim")) == 4


def test_node_without_room_on_its_disk_claims_nothing(node: Node) -> None:
    intake = intake_of(node.registered(), Slots(1), has_room=False)

    assert not intake.start_unasked()
    assert node.master.said("claim") == []


def test_poller_stays_quiet_while_hints_arrive() -> None:
    hints, work = [True, False, False, False], [True, True, False]
    poller = Poller(
        interval_seconds=1,
        hints_arrive=lambda: hints.pop(0),
        start_attempt=lambda: work.pop(0),
    )

    assert [poller.run_pass(), poller.run_pass()] == [0, 2]
