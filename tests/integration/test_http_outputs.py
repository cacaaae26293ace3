"""Outputs that are sent to a web server: whole, once, and never lost on the way."""

import threading
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from tests.integration.agents import Master, StartAgent, job_with
from tests.integration.put_server import CUT, HANG, LOST, PutServer, digest, put_server
from tests.media.specs import FFMPEG
from tests.unit import agent_parts
from tests.unit.agent_parts import STALE, Node
from tests.unit.test_agent_files import claim_of, sha
from tests.unit.test_agent_folders import LADDER, filled
from tests.waiting import wait_until
from workers import recovery
from workers.delivery import Delivery, Parcel
from workers.digests import sha256_of
from workers.errors import AttemptFailed
from workers.ledger import Held, StopReason
from workers.remote.items import Whole
from workers.remote.stores import Stores
from workers.spool import Journal
from workers.staging import Places, stage

node = agent_parts.node


@pytest.fixture
def server() -> Iterator[PutServer]:
    with put_server() as running:
        yield running


def finished(node: Node, location: str, **known: Any) -> tuple[Held, Journal]:
    held, journal = node.finished()
    return held, journal.model_copy(update={"location": location} | known)


def finished_folder(node: Node, location: str) -> tuple[Held, Journal]:
    held, journal = node.finished()
    assert journal.temporary is not None
    journal.temporary.unlink()
    filled(journal.temporary)
    known = {"location": location, "sha256": sha256_of(journal.temporary), "size": 15}
    return held, journal.model_copy(update=known)


def parcel(held: Held, journal: Journal) -> Parcel:
    return Parcel(held=held, journal=journal)


def ending(node: Node) -> tuple[str, FailureClass | None]:
    (body,) = node.master.said("report")
    return body.status, body.failure_reason


def test_file_is_sent_after_the_commit_with_its_length_and_digest(
    node: Node, server: PutServer
) -> None:
    held, journal = finished(node, server.url("/films/a.mp4?token=t"))

    assert node.delivery.deliver(held, journal)

    (put,) = server.puts()
    assert server.files == {"/films/a.mp4?token=t": b"whole"}
    assert put.headers["content-length"] == "5"
    assert put.headers["content-type"] == "video/mp4"
    assert put.headers["repr-digest"] == digest(b"whole")
    assert put.headers["if-none-match"] == "*"
    assert "transfer-encoding" not in put.headers
    assert [verb for verb, _ in node.master.calls] == ["commit", "report"]
    assert node.files() == []


def test_refused_commit_sends_nothing(node: Node, server: PutServer) -> None:
    held, journal = finished(node, server.url("/a.mp4"))
    node.master.answers["commit"] = [STALE]

    assert node.delivery.deliver(held, journal)

    assert server.asked == []
    assert node.files() == []


def test_foreign_file_is_kept_unless_overwriting_was_asked_for(
    node: Node, server: PutServer
) -> None:
    server.files["/a.mp4"] = b"foreign"
    node.delivery.deliver(*finished(node, server.url("/a.mp4")))

    assert ending(node) == ("failed", FailureClass.OUTPUT_EXISTS)
    assert server.files == {"/a.mp4": b"foreign"}

    node.delivery.deliver(*finished(node, server.url("/a.mp4"), overwrite=True))

    assert server.files == {"/a.mp4": b"whole"}


@pytest.mark.parametrize("trouble", [CUT, 500, 503, 429])
def test_trouble_on_the_way_is_tried_again_without_encoding_again(
    node: Node, server: PutServer, trouble: int | str
) -> None:
    server.script = [trouble]
    held, journal = finished(node, server.url("/a.mp4"))

    assert not node.delivery.deliver(held, journal)
    assert server.files == {}
    assert node.ledger.attempts() == (held,)
    assert node.delivery.run_pass() == 1

    assert server.files == {"/a.mp4": b"whole"}
    assert ending(node) == ("completed", None)


def test_file_whose_answer_was_lost_is_known_again_by_its_digest(
    node: Node, server: PutServer
) -> None:
    server.script = [LOST]
    held, journal = finished(node, server.url("/a.mp4"))

    assert not node.delivery.deliver(held, journal)
    assert node.delivery.run_pass() == 1

    assert ending(node) == ("completed", None)


@pytest.mark.parametrize("status", [301, 307, 400, 401, 403, 404, 405, 409, 413])
def test_refusal_ends_the_attempt_for_good(node: Node, server: PutServer, status: int) -> None:
    server.script = [status]

    assert node.delivery.deliver(*finished(node, server.url("/a.mp4?token=secret")))

    assert ending(node) == ("failed", FailureClass.OUTPUT_REFUSED)
    (body,) = node.master.said("report")
    assert body.error is not None
    assert f"HTTP {status}" in body.error
    assert "secret" not in body.error
    assert len(server.puts()) == 1


def test_file_that_appears_while_it_is_sent_is_kept(node: Node, server: PutServer) -> None:
    server.script = [412]

    node.delivery.deliver(*finished(node, server.url("/a.mp4")))

    assert ending(node) == ("failed", FailureClass.OUTPUT_EXISTS)


def test_server_that_heeds_no_condition_keeps_its_file_all_the_same(
    node: Node, server: PutServer
) -> None:
    server.heeds_conditions = False
    server.files["/a.mp4"] = b"foreign"

    node.delivery.deliver(*finished(node, server.url("/a.mp4")))

    assert server.files == {"/a.mp4": b"foreign"}


def test_own_older_file_is_replaced(node: Node, server: PutServer) -> None:
    server.files["/a.mp4"] = b"older"

    node.delivery.deliver(*finished(node, server.url("/a.mp4"), committed_sha256=(sha(b"older"),)))

    assert server.files == {"/a.mp4": b"whole"}


def test_next_process_sends_what_an_earlier_one_could_not(node: Node, server: PutServer) -> None:
    server.script = [503]
    node.delivery.deliver(*finished(node, server.url("/a.mp4")))
    successor = Node(node.folder)

    recovery.clear_unfinished(successor.spool)
    recovery.hold_finished(successor.spool, successor.ledger, successor.delivery)
    successor.delivery.run_pass()

    assert server.files == {"/a.mp4": b"whole"}
    assert ending(successor) == ("completed", None)


def test_server_that_stays_away_fails_the_attempt_in_the_end(node: Node) -> None:
    with put_server() as gone:
        url = gone.url("/a.mp4")
    held, journal = finished(node, url)

    assert not node.delivery.deliver(held, journal)
    node.now += 3601

    assert node.delivery.run_pass() == 1
    assert ending(node) == ("failed", FailureClass.CONNECTION)
    assert node.files() == []


def test_upload_that_hangs_holds_nobody_else_up(node: Node, server: PutServer) -> None:
    server.script = [HANG]
    first = parcel(*finished(node, server.url("/a.mp4")))
    temporary = node.folder / "other.part"
    temporary.write_bytes(b"whole")
    known = {"job_id": "job-2", "temporary": temporary}
    stop = threading.Event()
    thread = threading.Thread(target=node.delivery.run, args=(stop,))
    thread.start()
    try:
        node.delivery.keep(first)
        wait_until(server.puts, what="the upload that hangs")
        node.delivery.keep(parcel(*finished(node, server.url("/b.mp4"), **known)))

        wait_until(lambda: server.files, what="the other file")
        wait_until(lambda: node.delivery.waiting == 1)
    finally:
        stop.set()
        server.is_over.set()
        thread.join()
    assert list(server.files) == ["/b.mp4"]


def test_attempt_taken_from_the_node_while_it_is_sent_is_not_sent_further(
    node: Node, server: PutServer
) -> None:
    server.script = [503]
    held, journal = finished(node, server.url("/a.mp4"))
    assert not node.delivery.deliver(held, journal)
    held.stop(StopReason.GONE)

    assert node.delivery.run_pass() == 1

    assert server.files == {}
    assert node.files() == []
    assert node.master.said("report") == []


def test_process_that_slept_before_sending_commits_again(node: Node, server: PutServer) -> None:
    server.script = [503]
    node.delivery.deliver(*finished(node, server.url("/a.mp4")))
    node.now += 60
    node.master.answers["commit"] = [STALE]

    assert node.delivery.run_pass() == 1

    assert server.files == {}


def test_file_that_changed_since_it_was_verified_never_arrives(
    node: Node, server: PutServer
) -> None:
    held, journal = finished(node, server.url("/a.mp4"))
    assert journal.temporary is not None
    journal.temporary.write_bytes(b"forge")

    node.delivery.deliver(held, journal)

    assert ending(node) == ("failed", FailureClass.OUTPUT_WRONG)
    assert server.files == {}


def test_folder_is_sent_file_by_file_and_its_playlist_last(node: Node, server: PutServer) -> None:
    node.delivery.deliver(*finished_folder(node, server.url("/ladder/?token=t")))

    assert server.files == {f"/ladder/{name}?token=t": body for name, body in LADDER.items()}
    assert server.puts()[-1].path == "/ladder/master.m3u8?token=t"
    assert server.puts()[-1].headers["content-type"] == "application/vnd.apple.mpegurl"


def test_folder_goes_on_with_the_file_that_was_cut(node: Node, server: PutServer) -> None:
    server.script = [201, CUT]
    held, journal = finished_folder(node, server.url("/ladder"))

    assert not node.delivery.deliver(held, journal)
    (kept,) = node.spool.journals()
    assert node.delivery.run_pass() == 1

    paths = [put.path for put in server.puts()]
    assert kept.upload.sent == ("720p/0.m4s",)
    assert paths.count("/ladder/720p/0.m4s") == 1
    assert paths.count("/ladder/720p/init.mp4") == 2


def test_process_that_slept_between_two_files_asks_before_it_sends_more(
    node: Node, server: PutServer
) -> None:
    def sleep() -> None:
        node.now += 60
        node.master.answers["commit"] = [STALE]

    server.on_put = sleep

    assert node.delivery.deliver(*finished_folder(node, server.url("/ladder")))

    assert list(server.files) == ["/ladder/720p/0.m4s"]
    assert node.master.said("report") == []


def places(tmp_path: Path) -> Places:
    return Places(output_folder=tmp_path / "out")


LOCAL = Stores(allow_networks=(ip_network("127.0.0.0/8"),))


def test_output_of_an_url_is_made_in_the_output_folder(tmp_path: Path, server: PutServer) -> None:
    claim = claim_of(output=server.url("/films/my%20film.mp4?token=t"))

    with (found := stage(claim, places(tmp_path), LOCAL)).folder:
        assert found.shown == server.url("/films/my%20film.mp4?token=t")
        assert found.part.parent == tmp_path / "out"
        assert found.part.name.startswith(".my_20film.mp4.")


def test_taken_url_is_noticed_before_the_encode(tmp_path: Path, server: PutServer) -> None:
    server.files["/a.mp4?token=secret"] = b"foreign"

    with pytest.raises(AttemptFailed) as caught:
        stage(claim_of(output=server.url("/a.mp4?token=secret")), places(tmp_path), LOCAL)

    assert caught.value.failure_class is FailureClass.OUTPUT_EXISTS
    assert "secret" not in caught.value.message


def test_file_an_earlier_attempt_sent_is_adopted(tmp_path: Path, server: PutServer) -> None:
    server.files["/a.mp4"] = b"whole"
    claim = claim_of(output=server.url("/a.mp4"), committed=[sha(b"whole")])

    with (found := stage(claim, places(tmp_path), LOCAL)).folder:
        assert found.adopted == Whole(sha256=sha(b"whole"), size=5)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "[::1]", "2130706433", "169.254.1.1"])
def test_host_inside_the_network_is_refused_and_not_reached(
    tmp_path: Path, server: PutServer, host: str
) -> None:
    url = f"http://{host}:{server.server_port}/a.mp4"

    with pytest.raises(AttemptFailed) as caught:
        stage(claim_of(output=url), places(tmp_path), Stores())

    assert caught.value.failure_class is FailureClass.OUTPUT_REFUSED
    assert server.asked == []


def test_delivery_judges_the_host_too(node: Node, server: PutServer) -> None:
    delivery = Delivery(
        client=node.master,
        spool=node.spool,
        ledger=node.ledger,
        stores=Stores(),
        node_timeout_seconds=lambda: 100.0,
    )

    delivery.deliver(*finished(node, server.url("/a.mp4")))

    assert ending(node) == ("failed", FailureClass.OUTPUT_REFUSED)
    assert server.asked == []


def test_hls_folder_is_made_and_sent_with_its_master_playlist_last(
    node: Node, server: PutServer
) -> None:
    asked: dict[str, Any] = {"duration": 2, "preset": "ultrafast"}
    claim = claim_of(output=server.url("/ladder"), output_mode="hls", **asked)
    held = Held(job_id=claim.job_id, number=claim.attempt, lease=claim.lease)
    node.ledger.admit(held)

    node.runner(FFMPEG).run(claim, held)

    (body,) = node.master.said("report")
    assert (body.status, body.error) == ("completed", None)
    assert body.metrics["output"] == server.url("/ladder")
    assert body.size == sum(map(len, server.files.values()))
    assert server.puts()[-1].path == "/ladder/master.m3u8"
    assert {path.rpartition(".")[2] for path in server.files} == {"m3u8", "mp4", "m4s"}
    assert list((node.folder / "output").iterdir()) == []


def test_agent_sends_its_output_and_says_where_it_is(
    master: Master, start_agent: StartAgent, server: PutServer
) -> None:
    agent = start_agent(master).ready()
    url = server.url("/films/a.mp4")
    body = {"scenario": "360p30-h264", "parameters": {"duration": 1, "output": url}}

    job = job_with(master, master.client.submit(body), JobStatus.COMPLETED)

    assert job.result is not None
    assert job.result["output"] == url
    assert sha(server.files["/films/a.mp4"]) == job.result["sha256"]
    assert list((agent.state / "output").iterdir()) == []
