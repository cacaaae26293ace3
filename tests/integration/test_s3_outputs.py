"""Outputs on S3: in parts, taken up where they broke off, whole or not there at all."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest
from botocore.awsrequest import AWSResponse

from ffrtmp.domain.retry import FailureClass
from tests.integration import s3
from tests.integration.s3 import BUCKET, S3Service
from tests.unit import agent_parts
from tests.unit.agent_parts import STALE, Node
from tests.unit.test_agent_files import sha
from tests.unit.test_agent_folders import LADDER, filled
from workers import recovery
from workers.digests import sha256_of
from workers.ledger import Held, StopReason
from workers.remote.s3 import S3Access
from workers.remote.s3_upload import LEAST_PART_BYTES, MAX_PARTS, part_bytes
from workers.remote.stores import Stores
from workers.spool import Journal

FILM: Final = b"".join(bytes([n]) * LEAST_PART_BYTES for n in (1, 2)) + b"the end"
URL: Final = f"s3://{BUCKET}/new/a.mp4"
PART_2: Final = f"PUT /{BUCKET}/new/a.mp4[?]*partNumber=2*"
node_of_unit_tests = agent_parts.node


module_service = s3.module_service
service = s3.service


def node_beside(folder: Path, service: S3Service) -> Node:
    found = Node(folder)
    found.stores = Stores(s3=service.near)
    found.delivery = found.new_delivery()
    return found


@pytest.fixture
def node(tmp_path: Path, service: S3Service) -> Node:
    return node_beside(tmp_path, service)


def finished(node: Node, body: bytes = FILM, **known: Any) -> tuple[Held, Journal]:
    held, journal = node.finished()
    assert journal.temporary is not None
    journal.temporary.write_bytes(body)
    usual = {"location": URL, "sha256": sha(body), "size": len(body)}
    return held, journal.model_copy(update=usual | known)


def ending(node: Node) -> tuple[str, FailureClass | None]:
    (body,) = node.master.said("report")
    return body.status, body.failure_reason


def answers(service: S3Service, number: int) -> int:
    """How often the service has answered to somebody who sent this part."""
    return service.proxy.count_answers(to=f"PUT /{BUCKET}/*partNumber={number}*")


def test_file_is_stored_whole_after_the_commit_and_known_by_its_hash(
    node: Node, service: S3Service
) -> None:
    assert node.delivery.deliver(*finished(node))

    assert service.body("new/a.mp4") == FILM
    assert service.metadata("new/a.mp4")["sha256"] == sha(FILM)
    found = service.client.head_object(Bucket=BUCKET, Key="new/a.mp4", ChecksumMode="ENABLED")
    assert found["ContentType"] == "video/mp4"
    assert found["ChecksumSHA256"]
    assert [verb for verb, _ in node.master.calls] == ["commit", "report"]
    assert node.files() == []
    assert service.uploads() == []


def test_upload_that_was_cut_goes_on_where_it_was(node: Node, service: S3Service) -> None:
    held, journal = finished(node)
    service.proxy.drop_answers(20, to=PART_2)

    assert not node.delivery.deliver(held, journal)
    assert service.names() == []
    assert service.uploads() == ["new/a.mp4"]
    first, last = answers(service, 1), answers(service, 3)
    service.proxy.heal()
    assert node.delivery.run_pass() == 1

    assert service.body("new/a.mp4") == FILM
    assert answers(service, 1) == first
    assert answers(service, 3) > last
    assert ending(node) == ("completed", None)


def test_next_process_goes_on_where_an_earlier_one_was(node: Node, service: S3Service) -> None:
    service.proxy.drop_answers(20, to=PART_2)
    node.delivery.deliver(*finished(node))
    service.proxy.heal()
    first = answers(service, 1)
    successor = node_beside(node.folder, service)

    recovery.clear_unfinished(successor.spool)
    recovery.hold_finished(successor.spool, successor.ledger, successor.delivery)
    assert successor.delivery.run_pass() == 1

    assert service.body("new/a.mp4") == FILM
    assert answers(service, 1) == first
    assert ending(successor) == ("completed", None)


def test_part_that_is_not_the_files_is_sent_again(node: Node, service: S3Service) -> None:
    service.proxy.drop_answers(20, to=PART_2)
    node.delivery.deliver(*finished(node))
    service.proxy.heal()
    ((parcel),) = node.spool.journals()
    service.client.upload_part(
        Bucket=BUCKET,
        Key="new/a.mp4",
        UploadId=parcel.upload.ids[""],
        PartNumber=1,
        Body=bytes(LEAST_PART_BYTES),
    )

    assert node.delivery.run_pass() == 1

    assert service.body("new/a.mp4") == FILM


def test_upload_that_the_store_has_forgotten_begins_again(node: Node, service: S3Service) -> None:
    service.proxy.drop_answers(20, to=PART_2)
    node.delivery.deliver(*finished(node))
    service.empty()

    assert node.delivery.run_pass() == 1

    assert service.body("new/a.mp4") == FILM


def test_lost_answer_to_the_last_step_is_known_by_the_hash(node: Node, service: S3Service) -> None:
    service.proxy.drop_answers(20, to=f"POST /{BUCKET}/new/a.mp4[?]uploadId=*")

    assert not node.delivery.deliver(*finished(node))
    service.proxy.heal()
    assert node.delivery.run_pass() == 1

    assert ending(node) == ("completed", None)
    assert service.body("new/a.mp4") == FILM


def test_store_that_is_away_keeps_the_file_for_later(node: Node, service: S3Service) -> None:
    service.proxy.cut()
    held, journal = finished(node, b"short")

    assert not node.delivery.deliver(held, journal)
    assert node.ledger.attempts() == (held,)
    service.proxy.heal()
    assert node.delivery.run_pass() == 1

    assert service.body("new/a.mp4") == b"short"


def test_foreign_object_is_kept_unless_overwriting_was_asked_for(
    node: Node, service: S3Service
) -> None:
    service.store("new/a.mp4", b"foreign")
    node.delivery.deliver(*finished(node, b"short"))

    assert ending(node) == ("failed", FailureClass.OUTPUT_EXISTS)
    assert service.body("new/a.mp4") == b"foreign"

    node.delivery.deliver(*finished(node, b"short", overwrite=True))

    assert service.body("new/a.mp4") == b"short"


def test_own_older_object_is_replaced(node: Node, service: S3Service) -> None:
    service.store("new/a.mp4", b"older", Metadata={"output-sha256": "f" * 64, "output-size": "5"})

    node.delivery.deliver(*finished(node, b"short", committed_sha256=("f" * 64,)))

    assert service.body("new/a.mp4") == b"short"


def test_file_that_changed_since_it_was_verified_is_never_an_object(
    node: Node, service: S3Service
) -> None:
    held, journal = finished(node)
    assert journal.temporary is not None
    journal.temporary.write_bytes(FILM[:-1] + b"!")

    node.delivery.deliver(held, journal)

    assert ending(node) == ("failed", FailureClass.OUTPUT_WRONG)
    assert service.names() == []
    assert service.uploads() == []


@pytest.mark.parametrize("reason", [StopReason.GONE, StopReason.CANCELED])
def test_attempt_taken_from_the_node_leaves_no_parts(
    node: Node, service: S3Service, reason: StopReason
) -> None:
    service.proxy.drop_answers(20, to=PART_2)
    held, journal = finished(node)
    node.delivery.deliver(held, journal)
    assert service.uploads() == ["new/a.mp4"]
    service.proxy.heal()
    held.stop(reason)

    assert node.delivery.run_pass() == 1

    assert service.uploads() == []
    assert service.names() == []


def test_stale_process_completes_nothing(node: Node, service: S3Service) -> None:
    service.proxy.drop_answers(20, to=PART_2)
    node.delivery.deliver(*finished(node))
    service.proxy.heal()
    node.now += 60
    node.master.answers["commit"] = [STALE]

    assert node.delivery.run_pass() == 1

    assert service.names() == []
    assert service.uploads() == []


@dataclasses.dataclass(frozen=True, kw_only=True)
class PickyAccess(S3Access):
    """Answers ``status`` to a last step that is to replace nothing: moto knows no condition."""

    status: int

    def client(self) -> Any:
        found = super().client()
        found.meta.events.register("before-send.s3.CompleteMultipartUpload", self._answer)
        return found

    def _answer(self, request: Any, **_: Any) -> AWSResponse | None:
        if request.headers.get("If-None-Match") is None:
            return None
        answer = AWSResponse(request.url, self.status, {}, None)
        answer._content = b""
        return answer


@dataclasses.dataclass(frozen=True, kw_only=True)
class SleepyAccess(S3Access):
    """Calls ``on_part`` before each part is sent."""

    on_part: Callable[[], None]

    def client(self) -> Any:
        found = super().client()
        found.meta.events.register("before-send.s3.UploadPart", lambda **_: self.on_part())
        return found


def picky_node(folder: Path, service: S3Service, status: int) -> Node:
    found = Node(folder)
    found.stores = Stores(s3=PickyAccess(endpoint=service.near.endpoint, tries=1, status=status))
    found.delivery = found.new_delivery()
    return found


def test_object_that_appears_during_the_upload_is_not_replaced(
    tmp_path: Path, service: S3Service
) -> None:
    node = picky_node(tmp_path, service, 412)

    node.delivery.deliver(*finished(node, b"short"))

    assert ending(node) == ("failed", FailureClass.OUTPUT_EXISTS)
    assert service.names() == []
    assert service.uploads() == []


def test_service_without_conditions_is_asked_without(tmp_path: Path, service: S3Service) -> None:
    node = picky_node(tmp_path, service, 501)

    node.delivery.deliver(*finished(node, b"short"))

    assert ending(node) == ("completed", None)
    assert service.body("new/a.mp4") == b"short"


def test_process_that_slept_during_the_upload_completes_nothing(
    tmp_path: Path, service: S3Service
) -> None:
    sleeper = Node(tmp_path)

    def sleep() -> None:
        sleeper.now += 60
        sleeper.master.answers["commit"] = [STALE]

    access = SleepyAccess(endpoint=service.near.endpoint, tries=1, on_part=sleep)
    sleeper.stores = Stores(s3=access)
    sleeper.delivery = sleeper.new_delivery()

    assert sleeper.delivery.deliver(*finished(sleeper, b"short"))

    assert service.names() == []
    assert service.uploads() == []
    assert sleeper.master.said("report") == []


@pytest.mark.parametrize("location", ["s3://no-such-bucket/a.mp4"])
def test_refusal_ends_the_attempt_for_good(node: Node, location: str) -> None:
    assert node.delivery.deliver(*finished(node, b"short", location=location))

    assert ending(node) == ("failed", FailureClass.OUTPUT_REFUSED)


def test_node_without_credentials_says_so(
    node: Node, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    node.delivery.deliver(*finished(node, b"short"))

    (body,) = node.master.said("report")
    assert body.failure_reason is FailureClass.OUTPUT_REFUSED
    assert "credentials" in (body.error or "")


def test_folder_is_stored_file_by_file(node: Node, service: S3Service) -> None:
    held, journal = node.finished()
    assert journal.temporary is not None
    journal.temporary.unlink()
    filled(journal.temporary)
    whole = sha256_of(journal.temporary)
    known = {"location": f"s3://{BUCKET}/ladder", "sha256": whole, "size": 15}

    node.delivery.deliver(held, journal.model_copy(update=known))

    assert {key: service.body(key) for key in service.names()} == {
        f"ladder/{name}": body for name, body in LADDER.items()
    }
    assert service.metadata("ladder/master.m3u8")["output-sha256"] == whole


@pytest.mark.parametrize("size", [1, 8 << 20, 80 << 30, (5 << 40) - 1])
def test_no_file_has_too_many_parts(size: int) -> None:
    parts = -(-size // part_bytes(size))

    assert 1 <= parts <= MAX_PARTS
