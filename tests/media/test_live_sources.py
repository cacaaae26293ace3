"""Live sources that are published further, and those that may not be read."""

import socket
import threading

import pytest

from ffrtmp.domain.retry import FailureClass
from tests.live_sources import HEIGHT, WIDTH, RtmpSource, SrtSource
from tests.media import streams
from tests.media.streams import looked_at, report_of, streaming, to
from tests.rtmp import RtmpServer
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.waiting import free_port, wait_until
from workers.ffmpeg.inputs import access

node = agent_parts.node
rtmp = streams.rtmp


@pytest.mark.parametrize("kind", [RtmpSource, SrtSource])
def test_live_source_is_published_with_its_sound_for_as_long_as_was_asked(
    node: Node, rtmp: RtmpServer, kind: type[RtmpSource] | type[SrtSource]
) -> None:
    with kind() as source, streaming(node, to(rtmp.url, input=source.url, duration=2)):
        body = report_of(node)

    assert body.status == "completed", body.error
    seen = looked_at(rtmp.recorded()[0])
    assert (seen.video.width, seen.video.height) == (640, 360)
    assert [track.codec for track in seen.audio] == ["aac"]
    assert seen.duration_seconds == pytest.approx(2, abs=0.2)
    assert body.metrics["is_test_source"] is False
    assert (WIDTH, HEIGHT) != (640, 360)


def test_live_source_that_breaks_off_is_read_again(node: Node, rtmp: RtmpServer) -> None:
    with (
        RtmpSource() as source,
        streaming(node, to(rtmp.url, input=source.url, duration=3)) as held,
    ):
        wait_until(lambda: rtmp.publishing and held.progress.fraction > 0.3)
        source.break_off()
        body = report_of(node)

    assert (body.status, body.metrics["reconnects"]) == ("completed", 1), body.error
    assert body.metrics["duration_seconds"] == pytest.approx(3, abs=0.2)
    assert rtmp.overlaps() == []


def test_source_that_gives_nothing_fails_as_a_connection(node: Node, rtmp: RtmpServer) -> None:
    with socket.create_server(("127.0.0.1", free_port())) as listener:
        threading.Thread(target=_refuse, args=(listener,), daemon=True).start()
        url = f"rtmp://127.0.0.1:{listener.getsockname()[1]}/live/source"
        with streaming(node, to(rtmp.url, input=url), reconnect_seconds=0.5):
            body = report_of(node)

    assert body.failure_reason is FailureClass.CONNECTION
    assert rtmp.publications == []


def _refuse(listener: socket.socket) -> None:
    for _ in range(10):
        try:
            listener.accept()[0].close()
        except OSError:
            return


@pytest.mark.parametrize("scheme", ["rtmp", "rtmps", "srt"])
def test_source_inside_the_network_is_refused_and_never_connected_to(
    node: Node, rtmp: RtmpServer, scheme: str
) -> None:
    url = f"{scheme}://169.254.169.254:80" + ("" if scheme == "srt" else "/live/source")

    with streaming(node, to(rtmp.url, input=url), reconnect_seconds=0.5):
        body = report_of(node)

    assert body.failure_reason is FailureClass.INPUT_REFUSED
    assert "link-local" in (body.error or "")
    assert rtmp.publications == []


def test_input_is_opened_at_the_address_that_was_judged_and_asked_for_by_its_name() -> None:
    arguments = access("rtmp://media.example/live/a?k=v", address="203.0.113.7").arguments()

    assert arguments[-1] == "rtmp://203.0.113.7:1935/live/a?k=v"
    assert arguments[arguments.index("-rtmp_tcurl") + 1] == "rtmp://media.example/live"
    assert access("srt://m.example:99?streamid=a", address="::1").url == (
        "srt://[::1]:99?streamid=a"
    )


@pytest.mark.parametrize("url", ["rtmp://media.example/live/a", "srt://media.example:99"])
def test_live_input_without_an_address_is_never_opened(url: str) -> None:
    with pytest.raises(ValueError, match="neither absolute nor a URL"):
        access(url)
