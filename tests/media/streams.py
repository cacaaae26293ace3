"""Attempts that publish with a real ffmpeg, around a scripted master."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from statistics import fmean
from typing import Any

import av
import pytest
from av.video.plane import VideoPlane

from ffrtmp.schemas import ClaimAnswer, ResultRequest
from tests.media.specs import FFMPEG, make_clip
from tests.rtmp import RtmpServer
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from tests.waiting import wait_until
from workers.clock import boot_seconds
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.probe import probe
from workers.gstreamer.found import Gstreamer
from workers.ledger import Held, StopReason

FRAMES_PER_SECOND = 30
HOUR = 3600.0
CLIP_SECONDS = 3
WHITE = 235


def to(url: str, **parameters: Any) -> ClaimAnswer:
    """The claim of a small stream to ``url``."""
    usual = {"output_mode": "rtmp", "rtmp_url": url, "preset": "ultrafast"}
    return claim_of(**usual | parameters)


@contextlib.contextmanager
def streaming(
    node: Node,
    claim: ClaimAnswer,
    *,
    reconnect_seconds: float = 60.0,
    gstreamer: Gstreamer | None = None,
) -> Iterator[Held]:
    """The attempt while it publishes; ended afterwards where it has not ended by itself."""
    node.registered()
    held = Held(
        job_id=claim.job_id,
        number=claim.attempt,
        lease=claim.lease,
        lease_until=boot_seconds() + HOUR,
    )
    node.ledger.admit(held)
    runner = node.runner(FFMPEG, reconnect_seconds=reconnect_seconds, gstreamer=gstreamer)
    thread = threading.Thread(target=runner.run, args=(claim, held))
    thread.start()
    try:
        yield held
    finally:
        held.stop(StopReason.GONE)
        thread.join(timeout=30)
        assert not thread.is_alive()


def report_of(node: Node) -> ResultRequest:
    """What the attempt said at its end, which may have to be waited for."""
    (body,) = wait_until(lambda: node.master.said("report"))
    assert isinstance(body, ResultRequest)
    return body


def looked_at(recording: Path) -> MediaFacts:
    """What a publisher sent, all of it read."""
    return probe(str(recording), count_frames=True)


@pytest.fixture
def rtmp(tmp_path: Path) -> Iterator[RtmpServer]:
    server = RtmpServer(tmp_path)
    yield server
    server.close()


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A picture that grows from black to white, with a tone: each moment can be told."""
    frames = CLIP_SECONDS * FRAMES_PER_SECOND
    shown = f"color=black:size=320x180:rate={FRAMES_PER_SECOND}:duration={CLIP_SECONDS}"
    return make_clip(
        tmp_path / "clip.mp4",
        *("-f", "lavfi", "-i", shown, "-f", "lavfi", "-i", f"sine=duration={CLIP_SECONDS}"),
        *("-vf", f"negate,fade=in:0:{frames}:color=black"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "30", "-c:a", "aac"),
    )


def brightness(recording: Path) -> list[float]:
    """The mean of each frame's middle line."""
    with av.open(recording) as media:
        return [_middle(frame.planes[0]) for frame in media.decode(video=0)]


def _middle(plane: VideoPlane) -> float:
    row = plane.height // 2 * plane.line_size
    return fmean(bytes(plane)[row : row + plane.width])
