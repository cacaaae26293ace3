"""A master that says it has too much to do: agents lose nothing, the command waits and says so."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cli.main import run
from cli.patience import PATIENCE_SECONDS, Patience
from ffrtmp.client import Connection, MasterBusy, MasterClient, MasterRefused, MasterUnavailable
from ffrtmp.domain.device import CPU_DEVICE
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from tests.waiting import wait_until
from workers.ledger import Held, StopReason
from workers.log_feed import feeding
from workers.slots import Slot

node = agent_parts.node
BUSY = MasterBusy(429, "too_many_requests", "x", wait_seconds=1.0)
TOO_SLOW = MasterUnavailable(408, "too_slow", "x")
TOO_LARGE = MasterRefused(413, "too_large", "x")
ERROR = b'{"error": {"code": "queue_full", "message": "too many jobs wait"}}'
NODES = b'{"nodes": [], "count": 0}'


class BusyMaster(ThreadingHTTPServer):
    """Answers 429 as often as it is told, and then that there are no nodes."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.refusals = 0
        self.retry_after = "1"
        self.asked = 0


class _Handler(BaseHTTPRequestHandler):
    server: BusyMaster

    def do_GET(self) -> None:
        self.server.asked += 1
        is_busy = self.server.asked <= self.server.refusals
        body = ERROR if is_busy else NODES
        self.send_response(429 if is_busy else 200)
        self.send_header("Content-Length", str(len(body)))
        if is_busy:
            self.send_header("Retry-After", self.server.retry_after)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def busy_master(monkeypatch: pytest.MonkeyPatch) -> Iterator[BusyMaster]:
    with BusyMaster() as server:
        monkeypatch.setenv("MASTER_URL", f"http://127.0.0.1:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize("refusal", [BUSY, TOO_SLOW])
def test_finished_work_is_kept_until_a_busy_master_takes_it(
    node: Node, refusal: MasterRefused
) -> None:
    held, journal = node.finished()
    node.master.answers["commit"] = [refusal]
    node.master.answers["report"] = [refusal]

    assert not node.delivery.deliver(held, journal)
    assert node.delivery.run_pass() == 0
    assert node.delivery.run_pass() == 1

    assert node.files() == ["a.mp4"]


def test_result_that_is_too_large_in_any_form_is_not_sent_for_ever(node: Node) -> None:
    held, journal = node.finished()
    node.master.answers["report"] = [TOO_LARGE, TOO_LARGE]

    assert node.delivery.deliver(held, journal)

    assert [body.logs for body in node.master.said("report")] == ["said", ""]
    assert node.spool.journals() == []


def test_claim_is_asked_again_under_its_id_when_the_master_was_busy(node: Node) -> None:
    node.registered().master.answers["claim"] = [BUSY, claim_of()]

    assert node.claims().take(Slot(device=CPU_DEVICE)) is not None
    assert len({body.claim_id for body in node.master.said("claim")}) == 1


def test_registration_waits_for_a_busy_master(node: Node) -> None:
    node.master.answers["register"] = [BUSY]

    assert node.registered().registrar.session.epoch == 1


def test_heartbeat_that_found_the_master_busy_is_only_not_heard(node: Node) -> None:
    node.registered().master.answers["heartbeat"] = [BUSY]

    assert not node.heart().beat()
    assert node.heart().beat()
    assert len(node.master.said("register")) == 1


def test_attempt_is_given_back_though_the_master_was_busy(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.runner.RELEASE_PAUSE_SECONDS", 0.0)
    node.registered().master.answers["release"] = [BUSY]
    claim = claim_of()
    held = Held(job_id=claim.job_id, number=claim.attempt, lease=claim.lease, lease_until=1e12)
    held.stop(StopReason.RELEASED)

    node.runner().run(claim, held)

    assert len(node.master.said("release")) == 2


def test_piece_of_a_log_that_is_too_large_is_not_sent_again(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.log_feed.INTERVAL_SECONDS", 0.001)
    node.master.answers["append_log"] = [BUSY, TOO_LARGE]
    threads = set(threading.enumerate())
    held = Held(job_id="job", number=1, lease="l" * 16, lease_until=1e12)

    with feeding(node.master, held, lambda sent: "text"[sent:] or "more"):
        wait_until(lambda: len(node.master.said("append_log")) == 2, what="two pieces")
        wait_until(lambda: set(threading.enumerate()) <= threads, what="the end of the feed")

    assert [body.offset for body in node.master.said("append_log")] == [0, 0]


def test_command_waits_for_a_busy_master_and_says_so_once(
    busy_master: BusyMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("cli.options.Patience", lambda: Patience(sleep=waited.append))
    busy_master.refusals, busy_master.retry_after = 3, "7"

    assert run(["nodes", "list"]) == 0

    assert waited == [7.0, 7.0, 7.0]
    assert capsys.readouterr().err.count("the master has too much to do") == 1


def test_command_whose_patience_ends_is_exit_1_with_the_masters_words(
    busy_master: BusyMaster, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    waited: list[float] = []
    monkeypatch.setattr("cli.options.Patience", lambda: Patience(sleep=waited.append))
    busy_master.refusals, busy_master.retry_after = 1_000, "25"

    assert run(["nodes", "list"]) == 1

    assert sum(waited) <= PATIENCE_SECONDS < sum(waited) + 25
    assert "too many jobs wait" in capsys.readouterr().err.splitlines()[-1]


def test_client_of_an_agent_is_told_how_long_to_wait_and_does_not_wait(
    busy_master: BusyMaster,
) -> None:
    busy_master.refusals, busy_master.retry_after = 1, "12"
    with MasterClient(Connection(url=f"http://127.0.0.1:{busy_master.server_port}")) as client:
        with pytest.raises(MasterBusy) as busy:
            client.nodes()

        assert (busy.value.wait_seconds, busy.value.code) == (12.0, "queue_full")
        assert client.nodes().count == 0
