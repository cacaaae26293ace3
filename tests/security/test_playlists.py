"""Files that name other files or hosts: nothing but the file itself is read."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from tests.integration.agents import job_with
from tests.security.attacker import Canary, WebServer
from tests.security.target import Target

Write = Callable[[str], bytes]


def hls(name: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{name}\n#EXT-X-ENDLIST\n".encode()


def hls_master(name: str) -> bytes:
    return f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{name}\n".encode()


def hls_key(name: str) -> bytes:
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="{name}"'
    return f"#EXTM3U\n{key}\n#EXTINF:5,\n{name}\n#EXT-X-ENDLIST\n".encode()


def concat(name: str) -> bytes:
    return f"ffconcat version 1.0\nfile '{name}'\n".encode()


def dash(name: str) -> bytes:
    return (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" '
        'mediaPresentationDuration="PT1S"><Period><AdaptationSet mimeType="video/mp4">'
        f'<Representation id="1" bandwidth="1"><BaseURL>{name}</BaseURL></Representation>'
        "</AdaptationSet></Period></MPD>"
    ).encode()


def sdp(name: str) -> bytes:
    return f"v=0\nc=IN IP4 {name}\nm=video 5004 RTP/AVP 96\na=rtpmap:96 H264/90000\n".encode()


KINDS: tuple[tuple[str, Write], ...] = (
    ("list.m3u8", hls),
    ("master.m3u8", hls_master),
    ("key.m3u8", hls_key),
    ("list.mp4", hls),
    ("list.txt", hls),
    ("list.ffconcat", concat),
    ("concat.mp4", concat),
    ("list.mpd", dash),
    ("dash.mp4", dash),
    ("list.sdp", sdp),
)


@pytest.fixture
def folder(target: Target, request: pytest.FixtureRequest) -> Path:
    made = target.media / str(request.node.name)[:60].replace("[", "-")
    made.mkdir()
    return made


def test_local_playlists_of_any_kind_and_name_read_no_file(target: Target, folder: Path) -> None:
    (folder / "sibling.mp4").write_bytes(target.film.read_bytes())
    named = ["sibling.mp4", f"file://{target.secret}"]
    jobs = []
    for number, name in enumerate(named):
        for file, write in KINDS:
            (folder / f"{number}-{file}").write_bytes(write(name))
            jobs.append(target.attack(str(folder / f"{number}-{file}")))

    ended = [target.ended(job) for job in jobs]

    assert {(job.status, job.attempt, job.failure_reason) for job in ended} == {
        (JobStatus.FAILED, 1, FailureClass.BAD_INPUT)
    }
    assert target.outputs() == []


def test_playlists_reach_no_host(target: Target, folder: Path, web: WebServer) -> None:
    canary = Canary("127.0.0.1")
    jobs = []
    for file, write in KINDS:
        body = write(f"http://{canary.place}/x.ts")
        (folder / file).write_bytes(body)
        jobs += [target.attack(str(folder / file)), target.attack(web.serve(file, body))]

    ended = [target.ended(job) for job in jobs]
    canary.close()

    assert canary.visits == 0
    assert {(job.status, job.attempt, job.failure_reason) for job in ended} == {
        (JobStatus.FAILED, 1, FailureClass.BAD_INPUT)
    }


def test_remote_playlists_read_no_file_of_the_node(target: Target, web: WebServer) -> None:
    jobs = [
        target.attack(web.serve(file, write(f"file://{target.secret}"))) for file, write in KINDS
    ]

    ended = [target.ended(job) for job in jobs]

    assert {(job.status, job.attempt, job.failure_reason) for job in ended} == {
        (JobStatus.FAILED, 1, FailureClass.BAD_INPUT)
    }
    assert target.outputs() == []


def test_playlist_that_names_itself_ends_at_once(target: Target, folder: Path) -> None:
    (folder / "loop.m3u8").write_bytes(hls_master("loop.m3u8"))
    (folder / "loop.mp4").write_bytes(concat("loop.mp4"))

    ended = [target.ended(target.attack(f"{folder}/loop.{it}")) for it in ("m3u8", "mp4")]

    assert [job.failure_reason for job in ended] == [FailureClass.BAD_INPUT] * 2
    assert [job.attempt for job in ended] == [1, 1]


def test_what_was_refused_says_which_format_it_is(target: Target, folder: Path) -> None:
    (folder / "list.mp4").write_bytes(concat("film.mp4"))

    failed = target.ended(target.attack(f"{folder}/list.mp4"))

    assert failed.error == f"{folder}/list.mp4: is of the format concat, which is not read here"


def test_numbered_pictures_are_no_input(target: Target, folder: Path) -> None:
    pattern = folder / "%03d.png"
    for name in ("001.png", "%03d.png"):
        (folder / name).write_bytes(b"\x89PNG\r\n\x1a\n" + os.urandom(64))

    failed = target.ended(target.attack(str(pattern)))

    assert failed.failure_reason is FailureClass.BAD_INPUT


def test_ordinary_film_beside_them_is_transcoded(target: Target) -> None:
    done = target.master.client.submit(
        {"scenario": "test-360p", "parameters": {"input": str(target.film), "duration": 0.2}}
    )

    assert job_with(target.master, done, JobStatus.COMPLETED).attempt == 1
    for path in target.outputs():
        path.unlink()
