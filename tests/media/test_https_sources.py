"""What is read over https goes through the gate, whole, and from a server that is vouched for."""

import contextlib
from ipaddress import ip_network
from pathlib import Path

import pytest

from ffrtmp.domain.retry import FailureClass
from tests.media.specs import BUNNY, FFMPEG, plan
from tests.media.web import Site, site
from workers.addresses import Networks
from workers.errors import AttemptFailed
from workers.ffmpeg.command import transcode
from workers.ffmpeg.failures import classify
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.probe import ProbeFailed, probe
from workers.ffmpeg.process import FfmpegProcess
from workers.reading import Reading, reading, trusted

LOOPBACK = (ip_network("127.0.0.0/8"),)


def opened(
    served: Site, folder: Path, networks: Networks
) -> contextlib.AbstractContextManager[Reading]:
    """The file as an attempt reads it."""
    return reading(served.url, folder=folder / "in", networks=networks, fetch=_nothing)


def _nothing(source: str, folder: Path) -> Path:
    raise AssertionError(f"{source} is not in S3, nor is {folder}")


def copied(
    source: Reading, destination: Path, *, seconds: float | None = 0.5
) -> tuple[int | None, str]:
    """How a transcode of so much of it ends, and what it says; None is all."""
    wanted = plan(probe(str(BUNNY)), duration_seconds=seconds, audio="none", fps=None)
    log = BoundedLog()
    argv = transcode(
        wanted, ffmpeg=FFMPEG, source=source.location, destination=destination, threads=1
    )
    end = FfmpegProcess(argv, timeout_seconds=60, environment=source.environment).run(
        lambda _: None, log
    )
    return end.exit_code, log.text()


def test_probe_and_encode_of_an_https_source_see_all_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(BUNNY, tmp_path) as served:
        monkeypatch.setenv("SSL_CERT_FILE", str(served.authority))
        with opened(served, tmp_path, LOOPBACK) as source:
            remote = probe(str(source.location), count_frames=True, environment=source.environment)
            code, log = copied(source, tmp_path / "out.mp4")

    local = probe(str(BUNNY), count_frames=True)
    assert (remote.video.frames, remote.audio) == (local.video.frames, local.audio)
    assert code == 0, log
    assert probe(str(tmp_path / "out.mp4")).video.codec == "h264"


def test_source_whose_connection_breaks_again_and_again_is_read_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(BUNNY, tmp_path, breaks_after=400_000) as served:
        monkeypatch.setenv("SSL_CERT_FILE", str(served.authority))
        with opened(served, tmp_path, LOOPBACK) as source:
            code, log = copied(source, tmp_path / "out.mp4", seconds=None)

    assert code == 0, log
    assert len(served.breaks) >= 2
    out = probe(str(tmp_path / "out.mp4"), count_frames=True)
    assert out.video.frames == probe(str(BUNNY), count_frames=True).video.frames


def test_authorities_of_the_system_are_named_in_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    system = tmp_path / "authorities.pem"
    system.touch()
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent"))
    monkeypatch.setattr("workers.reading.AUTHORITIES", ("/absent/too", str(system)))

    assert trusted()["SSL_CERT_FILE"] == str(system)


def test_server_that_nobody_vouches_for_is_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE", raising=False)
    with (
        site(BUNNY, tmp_path) as served,
        opened(served, tmp_path, LOOPBACK) as source,
    ):
        with pytest.raises(ProbeFailed) as probed:
            probe(str(source.location), environment=source.environment)
        code, log = copied(source, tmp_path / "out.mp4")

    assert probed.value.failure_class is FailureClass.CONNECTION
    found = classify(exit_code=code, signal=None, stderr=log)
    assert found.failure_class is FailureClass.CONNECTION, log


def test_certificate_of_another_host_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(BUNNY, tmp_path, host="media.example") as served:
        monkeypatch.setenv("SSL_CERT_FILE", str(served.authority))
        with opened(served, tmp_path, LOOPBACK) as source:
            code, log = copied(source, tmp_path / "out.mp4")

    assert code != 0
    found = classify(exit_code=code, signal=None, stderr=log)
    assert found.failure_class is FailureClass.CONNECTION, log


def test_tunnel_to_a_host_that_is_not_public_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with site(BUNNY, tmp_path) as served:
        monkeypatch.setenv("SSL_CERT_FILE", str(served.authority))
        with (
            pytest.raises(AttemptFailed) as failed,
            opened(served, tmp_path, ()) as source,
            contextlib.suppress(ProbeFailed),
        ):
            probe(str(source.location), environment=source.environment)

    assert failed.value.failure_class is FailureClass.INPUT_REFUSED
    assert "127.0.0.1 is a loopback address" in str(failed.value)
