"""Streams to and from nginx, which says when a source has ended."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live_sources import sender
from tests.media.streams import looked_at, report_of, streaming, to
from tests.nginx import IS_HERE, Nginx
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.waiting import wait_until
from workers.streamer import RECONNECTING

pytestmark = pytest.mark.skipif(not IS_HERE, reason="nginx has no RTMP module here: .ci/tools")
node = agent_parts.node


@pytest.fixture
def nginx(tmp_path: Path) -> Iterator[Nginx]:
    folder = tmp_path / "nginx"
    folder.mkdir()
    server = Nginx(folder)
    yield server
    server.kill()
    shutil.rmtree(folder)


def test_stream_goes_on_when_its_server_was_killed_and_started_again(
    node: Node, nginx: Nginx
) -> None:
    with streaming(node, to(nginx.url("one"), duration=3)) as held:
        nginx.wait_for("one")
        nginx.kill()
        wait_until(lambda: held.progress.phase == RECONNECTING)
        nginx.start()
        body = report_of(node)

    assert (body.status, body.metrics["reconnects"]) == ("completed", 1), body.logs
    assert body.metrics["duration_seconds"] == pytest.approx(3, abs=0.2)
    seen = looked_at(nginx.recordings("one")[-1])
    assert (seen.video.codec, [track.codec for track in seen.audio]) == ("h264", ["aac"])


def test_stream_of_a_live_source_is_completed_when_that_has_ended(node: Node, nginx: Nginx) -> None:
    source = sender("-t", "4", "-f", "flv", nginx.url("source"))
    nginx.wait_for("source")

    with streaming(node, to(nginx.url("copy"), input=nginx.url("source"))):
        body = report_of(node)

    source.wait()
    assert (body.status, body.metrics["reconnects"]) == ("completed", 0), body.logs
    assert 0 < body.metrics["duration_seconds"] < 5
    assert looked_at(nginx.recordings("copy")[0]).video.height == 360


def test_stream_that_is_another_publishers_is_waited_for(node: Node, nginx: Nginx) -> None:
    other = sender("-t", "3", "-f", "flv", nginx.url("taken"))
    nginx.wait_for("taken")

    with streaming(node, to(nginx.url("taken"), duration=1)):
        body = report_of(node)

    other.wait()
    assert (body.status, body.metrics["reconnects"]) == ("completed", 0), body.logs
    assert "Already publishing; the stream goes on in" in (body.logs or "")
