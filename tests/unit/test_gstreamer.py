"""What GStreamer is ordered to do, and what its ends mean."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.retry import FailureClass
from tests.media.specs import SOURCE, plan
from workers.errors import UnsupportedSpec
from workers.ffmpeg.facts import MediaFacts
from workers.gstreamer import ends
from workers.gstreamer.found import Gstreamer
from workers.gstreamer.pipeline import publish

FOUND = Gstreamer(python=Path("/py"), aac="avenc_aac", registry=Path("/state/registry"))
HOSTILE = '/in/a" ! filesink location=/etc/passwd name=video.mkv'
URL = "rtmp://host/app/a!fakesink"


def order(
    source: str | None = None,
    facts: MediaFacts | None = None,
    *,
    from_seconds: float = 0.0,
    **changes: Any,
) -> dict[str, Any]:
    planned = plan(facts, **{"output_mode": "rtmp", "live": True} | changes)
    argv = publish(
        planned, FOUND, source=source, rtmp_url=URL, threads=2, from_seconds=from_seconds
    )
    found: dict[str, Any] = json.loads(argv[-1])
    return found


def test_words_of_a_job_stand_beside_the_description_and_never_in_it() -> None:
    ordered = order(HOSTILE, SOURCE)

    assert (ordered["location"], ordered["url"]) == (HOSTILE, URL)
    assert "passwd" not in ordered["pipeline"]
    assert "fakesink" not in ordered["pipeline"]


@pytest.mark.parametrize(
    ("rate", "words"),
    [
        (
            {"bits_per_second": 900_000, "crf": None},
            "pass=cbr bitrate=900 vbv-buf-capacity=2000",
        ),
        ({"crf": 20}, "pass=qual quantizer=20 vbv-buf-capacity=0"),
        (
            {"crf": 20, "max_bits_per_second": 1_000_000},
            "pass=qual quantizer=20 bitrate=1000 vbv-buf-capacity=2000",
        ),
    ],
)
def test_rate_is_the_one_that_was_asked(rate: dict[str, Any], words: str) -> None:
    assert f" {words} " in order(**rate)["pipeline"]


@pytest.mark.parametrize(
    ("fps", "frames", "words"), [("25", 50, "25/1"), ("30000/1001", 60, "30000/1001")]
)
def test_key_frames_come_every_two_seconds(fps: str, frames: int, words: str) -> None:
    described = order(fps=fps)["pipeline"]

    assert f"key-int-max={frames} " in described
    assert f"framerate={words}" in described


def test_length_of_a_test_source_is_counted_in_frames_and_samples() -> None:
    described = order(duration_seconds=2.0, fps="25")["pipeline"]

    assert "videotestsrc is-live=true num-buffers=50 " in described
    assert "samplesperbuffer=1024 num-buffers=94 " in described


def test_file_goes_on_where_it_was_until_its_length() -> None:
    ordered = order("/in.mkv", SOURCE, from_seconds=3.0, duration_seconds=2.0)

    assert (ordered["from_seconds"], ordered["until_seconds"]) == (3.0, 5.0)
    assert ordered["demuxer"] == "matroskademux"


def test_silent_stream_has_no_branch_of_sound() -> None:
    ordered = order("/in.mkv", SOURCE, audio="none")

    assert "audio" not in ordered["pipeline"]
    assert ordered["audio_track"] is None


def test_container_without_a_demuxer_of_ours_is_refused_by_name() -> None:
    with pytest.raises(UnsupportedSpec, match="does not read wtv"):
        order("/in.wtv", replace(SOURCE, container="wtv"))


@pytest.mark.parametrize(
    ("exit_code", "signal", "found"),
    [
        (ends.EXIT_CONNECTION, None, (FailureClass.CONNECTION, "sink: gone")),
        (ends.EXIT_INPUT, None, (FailureClass.BAD_INPUT, "sink: gone")),
        (70, None, (FailureClass.ENCODER, "sink: gone")),
        (None, 9, (FailureClass.KILLED, "GStreamer was ended by SIGKILL")),
    ],
)
def test_end_says_whose_fault_it_is(
    exit_code: int | None, signal: int | None, found: tuple[FailureClass, str]
) -> None:
    stderr = "[info] gstrtmp2sink.c(1114)\n[error] sink: gone\nlater words\n"
    failure = ends.failure(exit_code=exit_code, signal=signal, stderr=stderr)

    assert (failure.failure_class, failure.message) == found


def test_player_and_its_reader_agree_on_the_exit_codes() -> None:
    player = (Path(ends.__file__).parent / "player.py").read_text()

    assert f"EXIT_INPUT = {ends.EXIT_INPUT}\n" in player
    assert f"EXIT_CONNECTION = {ends.EXIT_CONNECTION}\n" in player
