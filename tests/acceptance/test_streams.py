"""Streams submitted through the command line, to a real server."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from ffrtmp.schemas import JobAnswer
from tests.acceptance.farm import RunningFarm
from tests.rtmp import RtmpServer
from tests.waiting import wait_until

BUNNY = Path(__file__).parents[1] / "media" / "bigbuckbunny.mp4"
WITHOUT = "no node at work has a GStreamer that can publish"


@pytest.fixture
def rtmp(tmp_path: Path) -> Iterator[RtmpServer]:
    server = RtmpServer(tmp_path, publishers=1)
    yield server
    server.close()


def test_looped_file_runs_until_it_is_canceled_and_says_its_bit_rate_meanwhile(
    farm: RunningFarm, rtmp: RtmpServer
) -> None:
    flags = {"scenario": "live-360p30", "queue": "live", "rtmp_url": rtmp.url}
    job = farm.submit(input=str(BUNNY), loop=True, bitrate="500k", preset="ultrafast", **flags)

    def with_rate() -> JobAnswer | None:
        found = farm.client.job(job["id"])
        return found if found.bits_per_second and rtmp.publishing else None

    running = wait_until(with_rate)
    farm.cli("jobs", "cancel", job["id"])

    wait_until(lambda: not rtmp.publishing)
    assert running.dropped_frames == 0
    (attempt,) = farm.client.attempts(job["id"]).attempts
    assert (attempt.outcome, attempt.bits_per_second is None) == ("canceled", False)


def test_job_for_gstreamer_is_published_by_it_or_waits_and_says_why(
    farm: RunningFarm, rtmp: RtmpServer
) -> None:
    (node,) = farm.client.nodes().nodes
    flags = {"scenario": "live-360p30", "rtmp_url": rtmp.url, "engine": "gstreamer"}

    job = farm.submit(duration="1s", **flags)

    if not node.hardware["gstreamer"]["works"]:
        assert WITHOUT in (farm.client.job(job["id"]).waiting_reason or "")
        farm.cli("jobs", "cancel", job["id"])
        return
    done = farm.wait_for(job["id"])
    assert (done.status, done.error) == ("completed", None)
    (attempt,) = farm.client.attempts(job["id"]).attempts
    assert attempt.argv[2].endswith("player.py")
    assert [one.has_media for one in rtmp.publications] == [True]
