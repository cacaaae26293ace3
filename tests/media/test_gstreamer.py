"""Streams by GStreamer, to a real server."""

from array import array
from dataclasses import replace
from pathlib import Path
from typing import Any

import av
import pytest

from ffrtmp.domain.media import Engine
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import ClaimAnswer
from tests.media import streams
from tests.media.specs import make_clip
from tests.media.streams import (
    CLIP_SECONDS,
    FRAMES_PER_SECOND,
    WHITE,
    brightness,
    looked_at,
    report_of,
    streaming,
    to,
)
from tests.rtmp import RtmpServer
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.waiting import wait_until
from workers.gstreamer.found import Absent, Gstreamer, find_gstreamer, known_gstreamer

node = agent_parts.node
rtmp = streams.rtmp
clip = streams.clip


@pytest.fixture(scope="module")
def gstreamer(tmp_path_factory: pytest.TempPathFactory) -> Gstreamer:
    found = find_gstreamer(tmp_path_factory.mktemp("gstreamer"))
    if isinstance(found, Absent):
        pytest.skip(f"this host has no GStreamer: {found.reason}")
    return found


def by_gstreamer(url: str, **parameters: Any) -> ClaimAnswer:
    claim = to(url, **parameters)
    spec = replace(claim.spec, engine=Engine.GSTREAMER)
    return claim.model_copy(update={"spec": spec})


def test_test_source_is_published_with_its_tone_at_the_rate_that_was_asked(
    node: Node, rtmp: RtmpServer, gstreamer: Gstreamer
) -> None:
    claim = by_gstreamer(rtmp.url, duration=4, bitrate="300k", audio_bitrate="96k")
    with streaming(node, claim, gstreamer=gstreamer):
        body = report_of(node)

    assert body.status == "completed", body.logs
    seen = looked_at(rtmp.recorded()[0])
    assert (seen.video.codec, seen.video.width, seen.video.height) == ("h264", 640, 360)
    assert seen.video.frames == 4 * FRAMES_PER_SECOND
    assert [track.codec for track in seen.audio] == ["aac"]
    assert body.metrics["bits_per_second"] == pytest.approx(396_000, rel=0.3)
    assert body.metrics["frames"] == 4 * FRAMES_PER_SECOND


def test_file_goes_on_where_it_was_when_its_server_comes_back(
    node: Node, rtmp: RtmpServer, clip: Path, gstreamer: Gstreamer
) -> None:
    claim = by_gstreamer(rtmp.url, input=str(clip))
    with streaming(node, claim, gstreamer=gstreamer) as held:
        wait_until(lambda: rtmp.publishing and held.progress.fraction > 0.3)
        rtmp.hang_up()
        body = report_of(node)

    assert (body.status, body.metrics["reconnects"]) == ("completed", 1), body.logs
    first, second = (brightness(recording) for recording in rtmp.recorded())
    assert max(first) <= second[0] + WHITE / 8
    assert second[0] > WHITE / 4
    assert second[-1] == pytest.approx(WHITE, abs=8)
    assert body.metrics["duration_seconds"] == pytest.approx(CLIP_SECONDS, abs=0.3)
    assert rtmp.overlaps() == []


def loudest(recording: Path) -> float:
    """The highest sample of the sound, 1 is full."""
    with av.open(recording) as media:
        planes = [array("f", bytes(frame.planes[0])) for frame in media.decode(audio=0)]
    return max(abs(sample) for plane in planes for sample in plane)


def test_only_the_asked_length_and_track_of_a_file_are_published(
    node: Node, rtmp: RtmpServer, tmp_path: Path, gstreamer: Gstreamer
) -> None:
    sounds = ("-f", "lavfi", "-i", "sine=duration=3", "-f", "lavfi", "-i", "anullsrc=cl=5.1:d=3")
    two = make_clip(
        tmp_path / "two.mkv",
        *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=3", *sounds),
        *("-map", "0", "-map", "1", "-map", "2", "-c:v", "libx264", "-preset", "ultrafast"),
        *("-c:a", "aac"),
    )
    claim = by_gstreamer(rtmp.url, input=str(two), duration=1.5, audio_tracks=[2])
    with streaming(node, claim, gstreamer=gstreamer):
        body = report_of(node)

    assert body.status == "completed", body.logs
    seen = looked_at(rtmp.recorded()[-1])
    assert seen.duration_seconds == pytest.approx(1.5, abs=0.15)
    assert (seen.video.width, seen.video.height) == (640, 360)
    assert [track.channels for track in seen.audio] == [2]
    assert loudest(rtmp.recorded()[-1]) < 0.01


def test_playlist_under_another_name_is_refused_before_gstreamer_sees_it(
    node: Node, rtmp: RtmpServer, tmp_path: Path, gstreamer: Gstreamer
) -> None:
    playlist = tmp_path / "list.mp4"
    playlist.write_text("#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n")
    with streaming(node, by_gstreamer(rtmp.url, input=str(playlist)), gstreamer=gstreamer):
        body = report_of(node)

    assert body.failure_reason is FailureClass.BAD_INPUT
    assert (body.argv, rtmp.publications) == ([], [])


def test_server_that_is_not_there_fails_as_a_connection(
    node: Node, rtmp: RtmpServer, gstreamer: Gstreamer
) -> None:
    rtmp.stop()

    with streaming(node, by_gstreamer(rtmp.url), reconnect_seconds=0.2, gstreamer=gstreamer):
        body = report_of(node)

    assert body.failure_reason is FailureClass.CONNECTION
    assert "Connection refused" in (body.error or "")


def test_node_without_gstreamer_never_takes_another_engine(node: Node, rtmp: RtmpServer) -> None:
    with streaming(node, by_gstreamer(rtmp.url, duration=1)):
        body = report_of(node)

    assert body.failure_reason is FailureClass.INCAPABLE
    assert rtmp.publications == []


def test_what_worked_is_known_at_the_next_start_without_a_trial(
    tmp_path: Path, gstreamer: Gstreamer, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = known_gstreamer(tmp_path)
    monkeypatch.setattr("workers.gstreamer.found.run_bounded", None)

    assert isinstance(found, Gstreamer)
    assert known_gstreamer(tmp_path) == found
