"""Streams to a real server that goes away and comes back: taken up within their attempt."""

import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import Limits
from tests.media import streams
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
from workers.ledger import Held, StopReason
from workers.streamer import RECONNECTING

node = agent_parts.node
rtmp = streams.rtmp
clip = streams.clip


def is_waiting(held: Held) -> bool:
    return held.progress.phase == RECONNECTING


def test_file_goes_on_where_it_was_when_its_server_comes_back(
    node: Node, rtmp: RtmpServer, clip: Path
) -> None:
    with streaming(node, to(rtmp.url, input=str(clip))) as held:
        wait_until(lambda: rtmp.publishing and held.progress.fraction > 0.3)
        rtmp.stop()
        wait_until(lambda: is_waiting(held))
        so_far = held.progress.fraction
        rtmp.start()
        body = report_of(node)

    first, second = (brightness(recording) for recording in rtmp.recorded())
    assert body.status == "completed"
    assert body.metrics["reconnects"] == 1
    assert body.metrics["duration_seconds"] == pytest.approx(CLIP_SECONDS, abs=0.3)
    assert 0.3 < so_far < 1
    assert second[0] == pytest.approx(WHITE * so_far, abs=WHITE / 5)
    assert max(first) <= second[0] + WHITE / 10
    assert second[-1] == pytest.approx(WHITE, abs=5)
    assert rtmp.overlaps() == []


def test_stream_of_a_given_length_is_no_longer_for_having_been_broken_off(
    node: Node, rtmp: RtmpServer
) -> None:
    with streaming(node, to(rtmp.url, duration=3)) as held:
        wait_until(lambda: rtmp.publishing and held.progress.fraction > 0.4)
        beat = held.beat(1)
        rtmp.hang_up()
        body = report_of(node)

    lengths = [looked_at(recording).duration_seconds or 0 for recording in rtmp.recorded()]
    assert (body.status, body.metrics["reconnects"]) == ("completed", 1)
    assert (body.metrics["dropped_frames"], beat.dropped_frames) == (0, 0)
    assert beat.bits_per_second == pytest.approx(body.metrics["bits_per_second"], rel=0.5)
    assert len(lengths) == 2
    assert body.metrics["duration_seconds"] == pytest.approx(3, abs=0.1)
    assert sum(lengths) < 3.3


def test_server_that_is_not_there_yet_is_waited_for(node: Node, rtmp: RtmpServer) -> None:
    rtmp.stop()

    with streaming(node, to(rtmp.url, duration=1)) as held:
        wait_until(lambda: is_waiting(held))
        rtmp.start()
        body = report_of(node)

    assert (body.status, body.metrics["reconnects"]) == ("completed", 0)
    assert "Connection refused; the stream goes on in" in (body.logs or "")
    assert "Cannot open connection tcp://" in (body.logs or "")


def test_server_that_does_not_come_fails_the_attempt_by_its_class(
    node: Node, rtmp: RtmpServer
) -> None:
    rtmp.stop()

    with streaming(node, to(rtmp.url), reconnect_seconds=1):
        body = report_of(node)

    assert body.failure_reason is FailureClass.CONNECTION
    assert "Connection refused" in (body.error or "")


def test_waiting_stream_ends_at_once_when_it_is_canceled(node: Node, rtmp: RtmpServer) -> None:
    with streaming(node, to(rtmp.url)) as held:
        wait_until(lambda: rtmp.publishing)
        rtmp.stop()
        wait_until(lambda: is_waiting(held))
        assert held.beat(1).mark != held.beat(2).mark
        began = time.monotonic()
        held.stop(StopReason.CANCELED)
        wait_until(lambda: not node.ledger.attempts())

    assert time.monotonic() - began < 5
    assert node.master.said("report") == []


def test_time_limit_counts_what_was_before_a_stream_broke_off(node: Node, rtmp: RtmpServer) -> None:
    claim = to(rtmp.url)
    claim = claim.model_copy(update={"spec": replace(claim.spec, limits=Limits(timeout_seconds=3))})
    began = time.monotonic()

    with streaming(node, claim) as held:
        wait_until(lambda: held.progress.fps)
        wait_until(lambda: time.monotonic() > began + 2)
        rtmp.hang_up()
        body = report_of(node)

    assert body.failure_reason is FailureClass.LIMIT_EXCEEDED
    assert time.monotonic() - began < 5


def test_looped_file_is_published_again_and_again_until_its_duration(
    node: Node, rtmp: RtmpServer, clip: Path
) -> None:
    with streaming(node, to(rtmp.url, input=str(clip), loop=True, duration=4)):
        body = report_of(node)

    (seen,) = (brightness(recording) for recording in rtmp.recorded())
    darker = [after for before, after in pairwise(seen) if after < before - WHITE / 2]
    assert body.metrics["duration_seconds"] == pytest.approx(4, abs=0.1)
    assert body.metrics["encode_seconds"] > 3
    assert len(seen) == pytest.approx(4 * FRAMES_PER_SECOND, abs=3)
    assert len(darker) == 1
    assert seen[-1] == pytest.approx(WHITE / 3, abs=WHITE / 10)
