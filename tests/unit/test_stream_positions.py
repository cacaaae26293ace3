"""Where in its source a stream goes on that broke off."""

from dataclasses import replace
from typing import Any, cast

import pytest

from tests.media.specs import SOURCE, plan, spec
from workers.ffmpeg.target import CPU
from workers.reconnecting import Course, Run
from workers.streamer import Stream

SENT = 6.0


def position(length: float | None, **changes: Any) -> float:
    """After SENT seconds of a source of this length."""
    asked = {"output_mode": "rtmp", "live": True, "duration_seconds": None, **changes}
    run = Run(ended_at=1.0, seconds=SENT, sent_seconds=SENT, frames=1)
    return Stream(
        spec=spec(**asked),
        target=CPU,
        publisher=cast("Any", None),
        threads=1,
        running=cast("Any", None),
        began_at=0.0,
        plan=plan(replace(SOURCE, duration_seconds=length), **asked),
        course=Course().after(run),
    ).position_seconds


@pytest.mark.parametrize("location", ["/in.mp4", "https://host/in.mp4"])
def test_source_of_known_length_goes_on_behind_what_was_sent(location: str) -> None:
    assert position(20.0, input=location) == SENT


def test_looped_file_goes_on_within_its_turn() -> None:
    assert position(4.0, input="/in.mp4", is_looped=True) == SENT - 4.0


def test_file_of_unknown_length_goes_on_all_the_same() -> None:
    assert position(None, input="/in.h264") == SENT


@pytest.mark.parametrize("location", ["https://host/feed.ts", "rtmp://host/app/name"])
def test_what_is_sent_only_once_goes_on_as_it_comes(location: str) -> None:
    assert position(None, input=location) == 0.0
