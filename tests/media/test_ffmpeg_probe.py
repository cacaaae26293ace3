"""Probes of real files and servers."""

import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from ffrtmp.domain.retry import FailureClass
from tests.media.specs import BUNNY, command, make_clip, run
from workers.box.view import Command, Everything
from workers.ffmpeg.failures import classify
from workers.ffmpeg.probe import ProbeFailed, probe


class Handler(BaseHTTPRequestHandler):
    """``/bunny`` is the clip, ``/cut`` half of it, ``/404`` an answer of that status."""

    def do_GET(self) -> None:
        name = self.path.strip("/")
        if name.isdigit():
            self.send_response(int(name))
            self.end_headers()
            return
        data = self.server.media  # type: ignore[attr-defined]
        begin = int(self.headers.get("Range", "bytes=0-")[6:].split("-")[0])
        if name == "cut" and begin >= 300_000:
            self.send_response(503)
            self.end_headers()
            return
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(data) - begin))
        self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
        self.end_headers()
        try:
            self.wfile.write(data[begin : 300_000 if name == "cut" else None])
        except ConnectionError:
            return

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture(scope="module")
def fast(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The clip with its index in front."""
    path = tmp_path_factory.mktemp("media") / "fast.mp4"
    return make_clip(path, "-i", str(BUNNY), "-c", "copy", "-movflags", "+faststart").read_bytes()


@pytest.fixture(scope="module")
def server(fast: bytes) -> Iterator[str]:
    """The address of a real HTTP server."""
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as http:
        http.media = fast  # type: ignore[attr-defined]
        thread = threading.Thread(target=http.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def refusal(location: str | Path, *, timeout_seconds: float = 30) -> FailureClass:
    """The class a probe of the location fails with."""
    with pytest.raises(ProbeFailed) as failed:
        probe(str(location), timeout_seconds=timeout_seconds)
    assert str(location) in failed.value.message
    return failed.value.failure_class


def test_real_clip_is_described() -> None:
    facts = probe(str(BUNNY), count_frames=True)

    video, (audio,) = facts.video, facts.audio
    assert (video.codec, video.width, video.height, video.fps) == (
        "h264",
        1280,
        720,
        Fraction(25),
    )
    assert (video.frames, video.pixel_format, video.rotation_degrees) == (132, "yuv420p", 0)
    assert (audio.codec, audio.channels, audio.sample_rate) == ("aac", 6, 48000)
    assert (video.end_seconds, facts.duration_seconds) == (5.28, 5.312)
    assert facts.size_bytes == BUNNY.stat().st_size


def test_quick_look_measures_the_same_end_as_the_whole_read(tmp_path: Path) -> None:
    mkv = make_clip(tmp_path / "a.mkv", "-i", str(BUNNY), "-c", "copy")

    assert probe(str(mkv)).video.end_seconds == probe(str(BUNNY)).video.end_seconds == 5.28


def test_url_is_described(server: str) -> None:
    facts = probe(f"{server}/bunny")

    assert (facts.video.codec, facts.video.end_seconds) == ("h264", 5.28)


def test_missing_file_is_missing(tmp_path: Path) -> None:
    assert refusal(tmp_path / "nope.mp4") is FailureClass.INPUT_MISSING


def test_folder_and_device_are_refused(tmp_path: Path) -> None:
    assert refusal(tmp_path) is FailureClass.INPUT_REFUSED
    assert refusal("/dev/zero") is FailureClass.INPUT_REFUSED


@pytest.mark.parametrize("content", [b"", b"hello", bytes(100_000), b"\x7fELF" * 5000])
def test_file_that_is_no_media_is_bad(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "x.mp4"
    path.write_bytes(content)

    assert refusal(path) is FailureClass.BAD_INPUT


def test_file_without_video_is_bad(tmp_path: Path) -> None:
    audio = make_clip(tmp_path / "audio.mp4", "-i", str(BUNNY), "-vn", "-c", "copy")

    assert refusal(audio) is FailureClass.BAD_INPUT


def test_file_without_its_index_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(BUNNY.read_bytes()[:300_000])

    assert refusal(path) is FailureClass.BAD_INPUT


def test_file_that_breaks_off_is_bad_though_its_beginning_is_fine(
    tmp_path: Path, fast: bytes
) -> None:
    path = tmp_path / "cut.mp4"
    path.write_bytes(fast[:500_000])
    mkv = make_clip(tmp_path / "whole.mkv", "-i", str(BUNNY), "-c", "copy")
    (tmp_path / "cut.mkv").write_bytes(mkv.read_bytes()[:500_000])

    assert refusal(path) is FailureClass.BAD_INPUT
    assert refusal(tmp_path / "cut.mkv") is FailureClass.BAD_INPUT


@pytest.mark.parametrize(
    ("status", "failure_class"),
    [
        (401, FailureClass.INPUT_REFUSED),
        (403, FailureClass.INPUT_REFUSED),
        (404, FailureClass.INPUT_MISSING),
        (500, FailureClass.CONNECTION),
        (503, FailureClass.CONNECTION),
    ],
)
def test_servers_answer_is_the_class(server: str, status: int, failure_class: FailureClass) -> None:
    assert refusal(f"{server}/{status}") is failure_class


def test_unreachable_server_is_a_connection_failure() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    assert refusal(f"http://127.0.0.1:{port}/x") is FailureClass.CONNECTION


def test_silent_server_is_given_up_after_the_time_out() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x"

        assert refusal(url, timeout_seconds=1) is FailureClass.CONNECTION


@pytest.mark.parametrize(
    ("path", "failure_class"),
    [
        ("404", FailureClass.INPUT_MISSING),
        ("403", FailureClass.INPUT_REFUSED),
        ("503", FailureClass.CONNECTION),
        ("cut", FailureClass.CONNECTION),
    ],
)
def test_encode_from_a_failing_server_has_the_servers_class(
    tmp_path: Path, server: str, path: str, failure_class: FailureClass
) -> None:
    end, log = run(_command(tmp_path, f"{server}/{path}"))

    found = classify(exit_code=end.exit_code, signal=end.signal, stderr=log)
    assert found.failure_class is failure_class


def test_encode_from_a_server_is_whole(tmp_path: Path, server: str) -> None:
    end, log = run(_command(tmp_path, f"{server}/bunny"))

    assert end.exit_code == 0, log
    assert probe(str(tmp_path / "out.mp4")).video.end_seconds == pytest.approx(5.28)


def test_encode_onto_a_full_disk_is_no_space(tmp_path: Path) -> None:
    argv = (*_command(tmp_path, str(BUNNY))[:-1], "file:/dev/full")

    end, log = run(argv)

    found = classify(exit_code=end.exit_code, signal=end.signal, stderr=log)
    assert found.failure_class is FailureClass.NO_SPACE


def test_encode_of_undecodable_media_is_bad_input(tmp_path: Path, fast: bytes) -> None:
    begin = fast.index(b"mdat") + 4
    path = tmp_path / "zeros.mp4"
    path.write_bytes(fast[:begin] + bytes(len(fast) - begin))

    end, log = run(_command(tmp_path, str(path)))

    found = classify(exit_code=end.exit_code, signal=end.signal, stderr=log)
    assert found.failure_class is FailureClass.BAD_INPUT


def _command(tmp_path: Path, source: str) -> tuple[str, ...]:
    return command(
        source,
        destination=tmp_path / "out.mp4",
        width=64,
        height=48,
        duration_seconds=None,
        audio="none",
    )


def test_encrypted_file_is_bad_and_says_so(tmp_path: Path) -> None:
    clear = ("-f", "lavfi", "-i", "testsrc2=size=64x48:rate=25:duration=0.4")
    key = "76a6c65c5ea762046bd749a2e632ccbb"
    locked = make_clip(
        tmp_path / "locked.mp4",
        *(*clear, "-encryption_scheme", "cenc-aes-ctr"),
        *("-encryption_key", key, "-encryption_kid", key),
    )

    with pytest.raises(ProbeFailed, match="is encrypted, and there is no key for it") as failed:
        probe(str(locked))
    assert failed.value.failure_class is FailureClass.BAD_INPUT


def test_frames_that_no_header_counts_are_counted(tmp_path: Path) -> None:
    mkv = make_clip(tmp_path / "a.mkv", "-i", str(BUNNY), "-c", "copy")

    assert probe(str(mkv)).video.frames == 132


def test_file_in_which_nothing_can_be_sought_is_described(tmp_path: Path) -> None:
    late = make_clip(
        tmp_path / "late.mkv",
        *("-itsoffset", "-0.3", "-i", str(BUNNY), "-t", "1", "-c", "copy"),
        *("-avoid_negative_ts", "disabled"),
    )

    assert (probe(str(late)).video.frames or 0) > 20


@dataclass(frozen=True, slots=True)
class Minded(Everything):
    """A view in which whoever was started waits for another that does the work, and hangs."""

    def python(
        self,
        argv: Sequence[str],  # noqa: ARG002
        *,
        environment: Mapping[str, str],
    ) -> Command:
        return self.command(("/bin/sh", "-c", "sleep 600 & wait"), environment=environment)


def test_whatever_a_probe_started_ends_with_it(tmp_path: Path) -> None:
    def end_soon(kill: Callable[[], None]) -> None:
        threading.Timer(0.2, kill).start()

    with pytest.raises(ProbeFailed) as failed:
        probe(str(tmp_path), timeout_seconds=120, view=Minded(), on_start=end_soon)

    assert failed.value.failure_class is FailureClass.KILLED
