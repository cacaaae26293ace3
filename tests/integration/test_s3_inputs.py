"""Inputs on S3, and what can be seen of the account: nothing."""

import contextlib
from pathlib import Path

import psutil
import pytest

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from tests.integration import s3
from tests.integration.agents import AgentProcess, Master, StartAgent, job_with
from tests.integration.s3 import BUCKET, SECRET, S3Service
from tests.media.specs import make_clip
from workers.errors import AttemptFailed, AttemptStopped
from workers.remote.items import CHUNK_BYTES
from workers.remote.s3 import fetch
from workers.remote.stores import Stores

FILM = bytes(range(256)) * 4096 * 16
URL = f"s3://{BUCKET}/old/a film.mp4"


module_service = s3.module_service
service = s3.service


def fetched(service: S3Service, folder: Path, location: str = URL) -> Path:
    return Stores(s3=service.near).fetch(location, folder, lambda _at: None)


def failure(service: S3Service, folder: Path, location: str = URL) -> AttemptFailed:
    with pytest.raises(AttemptFailed) as caught:
        fetched(service, folder, location)
    return caught.value


def test_object_is_brought_whole_under_a_tame_name(service: S3Service, tmp_path: Path) -> None:
    service.store("old/a film.mp4", FILM)

    found = fetched(service, tmp_path)

    assert found == tmp_path / "a_film.mp4"
    assert found.read_bytes() == FILM


def test_empty_object_is_an_empty_file(service: S3Service, tmp_path: Path) -> None:
    service.store("old/a film.mp4", b"")

    assert fetched(service, tmp_path).read_bytes() == b""


def test_download_that_breaks_off_goes_on_where_it_was(service: S3Service, tmp_path: Path) -> None:
    service.store("old/a film.mp4", FILM)
    heard: list[int] = []

    def cut_once(at: int) -> None:
        if not heard:
            service.proxy.cut()
            service.proxy.heal()
        heard.append(at)

    Stores(s3=service.near).fetch(URL, tmp_path, cut_once)

    assert (tmp_path / "a_film.mp4").read_bytes() == FILM
    assert heard == sorted(heard)
    assert heard[-1] == len(FILM)


@pytest.mark.parametrize("location", [f"s3://{BUCKET}/none.mp4", "s3://no-such-bucket/a.mp4"])
def test_missing_object_is_missing(service: S3Service, tmp_path: Path, location: str) -> None:
    found = failure(service, tmp_path, location)

    assert found.failure_class is FailureClass.INPUT_MISSING
    assert location in found.message


def test_service_that_is_away_is_a_connection(service: S3Service, tmp_path: Path) -> None:
    service.proxy.cut()

    assert failure(service, tmp_path).failure_class is FailureClass.CONNECTION


def test_node_without_credentials_is_refused(
    service: S3Service, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    assert failure(service, tmp_path).failure_class is FailureClass.INPUT_REFUSED


def test_object_for_which_there_is_no_room_is_not_begun(service: S3Service, tmp_path: Path) -> None:
    service.store("old/a film.mp4", FILM)

    with pytest.raises(AttemptFailed) as caught:
        fetch(service.near, URL, tmp_path / "a", moved=lambda _: None, room_bytes=len(FILM) - 1)

    assert caught.value.failure_class is FailureClass.NO_SPACE
    assert list(tmp_path.iterdir()) == []


def test_object_that_is_replaced_meanwhile_is_not_mixed(service: S3Service, tmp_path: Path) -> None:
    service.store("old/a film.mp4", FILM)

    def replace(at: int) -> None:
        if at <= CHUNK_BYTES:
            service.store("old/a film.mp4", FILM[::-1])
            service.proxy.cut()
            service.proxy.heal()

    with pytest.raises(AttemptFailed) as caught:
        Stores(s3=service.near).fetch(URL, tmp_path, replace)

    assert caught.value.failure_class is FailureClass.BAD_INPUT


def test_download_ends_when_the_attempt_is_to_end(service: S3Service, tmp_path: Path) -> None:
    service.store("old/a film.mp4", FILM)

    def stop(_at: int) -> None:
        raise AttemptStopped

    with pytest.raises(AttemptStopped):
        Stores(s3=service.near).fetch(URL, tmp_path, stop)


def environments(agent: AgentProcess) -> str:
    """What the agent's children can read of their own environment and arguments."""
    said = []
    for child in agent.descendants():
        with contextlib.suppress(psutil.Error):
            said.append(f"{child.cmdline()} {child.environ()}")
    return "".join(said)


def test_agent_reads_and_writes_objects_and_shows_nothing_of_the_account(
    master: Master, start_agent: StartAgent, service: S3Service, tmp_path: Path
) -> None:
    source = ("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=0.4")
    clip = make_clip(tmp_path / "clip.mp4", *source, "-preset", "ultrafast")
    service.store("old/a film.mp4", clip.read_bytes())
    agent = start_agent(master, s3_endpoint=service.near.endpoint, media_roots=[]).ready()
    output = f"s3://{BUCKET}/new/b.mp4"
    asked = {"input": URL, "output": output, "preset": "ultrafast"}

    submitted = master.client.submit({"scenario": "test-360p", "parameters": asked})
    job = job_with(master, submitted, JobStatus.COMPLETED)

    assert job.result is not None
    assert job.result["output"] == output
    assert service.metadata("new/b.mp4")["sha256"] == job.result["sha256"]
    assert list((agent.state / "output").iterdir()) == []
    told = master.client.logs(job.id).logs + job.model_dump_json() + agent.text()
    told += master.client.attempts(job.id).model_dump_json() + environments(agent)
    assert SECRET not in told
