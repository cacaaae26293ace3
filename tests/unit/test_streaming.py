"""The argument list of a stream."""

from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.retry import FailureClass
from tests.media.specs import SOURCE, plan
from workers.ffmpeg.streaming import publish
from workers.publishers import FfmpegPublisher

URL = "rtmp://host/app/name"
PROXY = "-http_proxy"


def argv(source: str | None = "/in.mp4", *, url: str = URL, **how: Any) -> list[str]:
    planned = plan(SOURCE if source else None, output_mode="rtmp", live=True)
    return list(
        publish(planned, ffmpeg=Path("/bin/ffmpeg"), source=source, rtmp_url=url, threads=2, **how)
    )


def of_input(arguments: list[str]) -> list[str]:
    return arguments[: arguments.index("-i")]


def test_file_is_read_at_its_own_speed_from_its_beginning() -> None:
    options = of_input(argv())

    assert "-re" in options
    assert "-ss" not in options
    assert "-stream_loop" not in options


def test_file_goes_on_where_it_was() -> None:
    options = of_input(argv(from_seconds=12.3456))

    assert options[options.index("-ss") + 1] == "12.346"


def test_looped_file_has_no_end() -> None:
    options = of_input(argv(is_looped=True))

    assert options[options.index("-stream_loop") + 1] == "-1"


def test_test_source_begins_anew() -> None:
    assert "-ss" not in argv(None, from_seconds=12.0)


def test_server_of_rtmps_is_verified_and_reached_without_a_proxy() -> None:
    safe, plain = argv(url="rtmps://host/app/name"), argv()

    after_input = safe[safe.index("-i") :]
    assert after_input[after_input.index(PROXY) + 1] == ""
    assert after_input[after_input.index("-tls_verify") + 1] == "1"
    assert PROXY not in plain


@pytest.mark.parametrize(
    ("line", "failure_class"),
    [
        ("[out#0/flv @ 0x1] [error] Error muxing a packet", FailureClass.CONNECTION),
        ("[vf#0:0 @ 0x1] [error] Error sending frames to consumers", FailureClass.ENCODER),
        ("[error] Error muxing a packet\n[error] moov atom not found", FailureClass.BAD_INPUT),
    ],
)
def test_packet_that_is_not_taken_is_the_fault_of_the_connection(
    line: str, failure_class: FailureClass
) -> None:
    stderr = f"[info] Output #0, flv\n{line}\n[error] Task finished with error code: -1\n"
    found = FfmpegPublisher(ffmpeg=Path("/bin/ffmpeg")).failure(
        exit_code=1, signal=None, stderr=stderr
    )

    assert found.failure_class is failure_class
