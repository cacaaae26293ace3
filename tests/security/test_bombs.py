"""Small files that make much work, and jobs that ask for it: limits end them, and for good."""

import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from tests.integration.agents import job_with
from tests.media.specs import make_clip
from tests.security.target import Target

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25:duration=0.4")
MAX_LOG_CHARACTERS = 1 << 20
SIDE = 12_000


@pytest.fixture
def folder(target: Target, request: pytest.FixtureRequest) -> Path:
    made = target.media / str(request.node.name)[:60].replace("[", "-")
    made.mkdir()
    return made


def picture_of_nothing(path: Path) -> Path:
    """SIDE by SIDE pixels in a file a thousandth of that size."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    def lines() -> Iterator[bytes]:
        packer = zlib.compressobj(level=1)
        for _ in range(SIDE):
            yield packer.compress(bytes(1 + SIDE))
        yield packer.flush()

    header = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 0, 0, 0, 0)
    chunks = (chunk(b"IHDR", header), chunk(b"IDAT", b"".join(lines())), chunk(b"IEND", b""))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def matroska(path: Path, *, tracks: int) -> Path:
    """A film that says it has so many tracks."""

    def element(name: str, body: bytes) -> bytes:
        return bytes.fromhex(name) + struct.pack(">Q", len(body) | 1 << 56) + body

    def number(name: str, value: int) -> bytes:
        return element(name, struct.pack(">Q", value))

    def track(n: int) -> bytes:
        size = element("e0", number("b0", 128) + number("ba", 96))
        kind = number("d7", n) + number("73c5", n) + number("83", 1)
        return element("ae", kind + element("86", b"V_MPEG4/ISO/ASP") + size)

    described = element("1654ae6b", b"".join(track(n + 1) for n in range(tracks)))
    frame = element("1f43b675", number("e7", 0) + element("a3", b"\x81\0\0\x80" + bytes(20)))
    scale = element("1549a966", number("2ad7b1", 1_000_000))
    head = element("1a45dfa3", element("4282", b"matroska"))
    path.write_bytes(head + element("18538067", scale + described + frame))
    return path


def avi(path: Path, **said: int) -> Path:
    """A film whose headers say this of its ``frames``, and of how fast they follow."""
    places = {"microseconds": ("avih", 0), "scale": ("strh", 20), "rate": ("strh", 24)}
    made = bytearray(make_clip(path, *PICTURE, "-c:v", "mpeg4").read_bytes())
    for name, value in said.items():
        found = [("avih", 16), ("strh", 32)] if name == "frames" else [places[name]]
        for header, offset in found:
            at = made.index(header.encode()) + 8 + offset
            made[at : at + 4] = struct.pack("<I", value)
    path.write_bytes(made)
    return path


def test_picture_that_needs_more_memory_than_the_job_may_have_ends_it(
    target: Target, folder: Path
) -> None:
    packed = picture_of_nothing(folder / "a.png")
    film = make_clip(folder / "a.mov", "-i", str(packed), "-c", "copy")
    packed.unlink()

    failed = target.ended(target.attack(str(film), resource_limits={"max_memory_mb": 100}))

    assert (failed.failure_reason, failed.attempt) == (FailureClass.LIMIT_EXCEEDED, 1)
    assert failed.error == "needed more than the 100 MB of memory it may have (max_memory_mb)"


def test_two_frames_days_apart_are_no_endless_work(target: Target, folder: Path) -> None:
    apart = ("-vf", "setpts='N*1000000/TB'", "-fps_mode", "passthrough", "-frames:v", "2")
    film = make_clip(folder / "a.mkv", *PICTURE, *apart, "-enc_time_base", "1/1000")
    limits = {"timeout_sec": 2}

    job = target.attack(str(film), fps="30", duration="240h", resource_limits=limits)

    failed = target.ended(job)
    assert (failed.failure_reason, failed.attempt) == (FailureClass.LIMIT_EXCEEDED, 1)


def test_headers_that_claim_too_much_are_bad_input(target: Target, folder: Path) -> None:
    films = [
        matroska(folder / "tracks.mkv", tracks=10_000),
        avi(folder / "frames.avi", frames=1 << 31),
    ]
    ended = [target.ended(target.attack(str(film), duration=None)) for film in films]

    assert {(job.failure_reason, job.attempt) for job in ended} == {(FailureClass.BAD_INPUT, 1)}
    for job in ended:
        assert len(target.master.client.logs(job.id).logs) < MAX_LOG_CHARACTERS


def test_impossible_frame_rates_make_no_more_frames_than_usual(
    target: Target, folder: Path
) -> None:
    films = [
        avi(folder / "none.avi", microseconds=0, rate=0),
        avi(folder / "no-scale.avi", microseconds=0, scale=0),
        avi(folder / "fast.avi", microseconds=0, scale=1, rate=10**9),
    ]
    jobs = [target.attack(str(film), resource_limits={"timeout_sec": 60}) for film in films]

    for job in [target.ended(job) for job in jobs]:
        assert (job.status, job.attempt) == (JobStatus.COMPLETED, 1)
        assert (job.result or {})["frames"] <= 10


def test_megabytes_of_titles_stay_out_of_answers_and_logs(target: Target, folder: Path) -> None:
    titles = folder / "titles.txt"
    titles.write_text(f";FFMETADATA1\ntitle={'x' * (10 << 20)}\n")
    film = make_clip(folder / "a.mkv", *PICTURE, "-i", str(titles), "-map_metadata", "1")

    ended = target.ended(target.attack(str(film)))

    assert ended.status is JobStatus.COMPLETED
    assert len(ended.model_dump_json()) < 10_000
    assert len(target.master.client.logs(ended.id).logs) < 100_000


def test_more_work_than_the_job_may_do_ends_it(target: Target) -> None:
    """The largest picture at the slowest speed."""
    job = target.master.client.submit(
        {
            "scenario": "test-h264",
            "parameters": {
                "resolution": "8192x8192",
                "preset": "slow",
                "resource_limits": {"timeout_sec": 2, "max_memory_mb": 512},
            },
        }
    )

    failed = job_with(target.master, job, JobStatus.FAILED)
    assert (failed.failure_reason, failed.attempt) == (FailureClass.LIMIT_EXCEEDED, 1)


def test_output_without_measure_ends_its_job(target: Target, folder: Path) -> None:
    limits = {"max_disk_mb": 1}
    film = make_clip(folder / "a.mkv", *PICTURE[:3], "nullsrc=s=640x360,noise=alls=100,trim=end=2")

    job = target.attack(str(film), duration=None, crf=0, resource_limits=limits)

    failed = target.ended(job)
    assert (failed.failure_reason, failed.attempt) == (FailureClass.LIMIT_EXCEEDED, 1)
    assert failed.error == "wrote more than the 1 MB it may (max_disk_mb)"
    assert not [path for path in target.outputs() if job.id in path.name]
