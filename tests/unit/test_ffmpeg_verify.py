"""The verifier names every difference, and nothing that is right."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from tests.media.specs import SOURCE, plan
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.verify import differences

AUDIO = SOURCE.audio[0]
OUTPUT = replace(
    SOURCE,
    container="mov,mp4,m4a,3gp,3g2,mj2",
    video=replace(SOURCE.video, width=128, height=96),
)
TEST_OUTPUT = replace(OUTPUT, audio=(replace(AUDIO, channels=1),))
ASKED: dict[str, Any] = {"duration_seconds": None}


def with_video(facts: MediaFacts, **changes: Any) -> MediaFacts:
    """The facts with another video."""
    return replace(facts, video=replace(facts.video, **changes))


def found_in(source: MediaFacts | None, output: MediaFacts, **changes: Any) -> list[str]:
    """What is wrong with the output of a small job for this source."""
    made = plan(source, **changes)
    return differences(made, made.pictures[0], output)


def test_right_output_has_no_differences() -> None:
    assert found_in(SOURCE, OUTPUT, **ASKED) == []
    assert found_in(None, TEST_OUTPUT, duration_seconds=4.0) == []


@pytest.mark.parametrize(
    ("output", "words"),
    [
        (replace(OUTPUT, container="matroska,webm"), "container is"),
        (with_video(OUTPUT, codec="hevc"), "video codec is hevc"),
        (with_video(OUTPUT, width=126), "size is 126x96"),
        (with_video(OUTPUT, rotation_degrees=90), "turned by 90"),
        (with_video(OUTPUT, frames=0), "no frames"),
        (with_video(OUTPUT, fps=Fraction(25025, 1000)), "frame rate"),
        (with_video(OUTPUT, end_seconds=3.85), "video ends after 3.85"),
        (with_video(OUTPUT, end_seconds=4.2), "video ends after 4.20"),
        (replace(OUTPUT, audio=()), "audio tracks: 0"),
        (replace(OUTPUT, audio=(AUDIO, AUDIO)), "audio tracks: 2"),
        (replace(OUTPUT, audio=(replace(AUDIO, codec="opus"),)), "audio codec is opus"),
        (replace(OUTPUT, audio=(replace(AUDIO, end_seconds=2.0),)), "audio ends after 2.00"),
        (replace(OUTPUT, audio=(replace(AUDIO, channels=1),)), "1 channels"),
        (replace(OUTPUT, audio=(replace(AUDIO, sample_rate=44100),)), "44100 Hz"),
        (with_video(OUTPUT, sample_aspect=Fraction(16, 15)), "shape of the pixels is 16/15"),
    ],
)
def test_one_wrong_thing_is_the_one_difference(output: MediaFacts, words: str) -> None:
    (found,) = found_in(SOURCE, output, **ASKED)

    assert words in found


def test_sound_that_was_not_wanted_is_a_difference() -> None:
    (found,) = found_in(SOURCE, OUTPUT, **ASKED, audio="none")

    assert found == "audio tracks: 1, expected were 0"


def test_copied_sound_may_have_any_codec() -> None:
    opus = replace(OUTPUT, audio=(replace(AUDIO, codec="opus"),))

    assert found_in(SOURCE, opus, **ASKED, audio="copy") == []


def test_limit_shorter_than_the_source_is_the_length() -> None:
    cut = with_video(OUTPUT, end_seconds=2.0, frames=50)
    short = replace(cut, audio=(replace(AUDIO, end_seconds=2.0),))

    assert found_in(SOURCE, short, duration_seconds=2.0) == []
    assert len(found_in(SOURCE, OUTPUT, duration_seconds=2.0)) == 3


def test_limit_longer_than_the_source_asks_for_the_whole_source() -> None:
    assert found_in(SOURCE, OUTPUT, duration_seconds=60.0) == []


def test_test_source_has_to_be_as_long_as_asked() -> None:
    assert len(found_in(None, TEST_OUTPUT, duration_seconds=5.0)) == 3


def test_one_frame_of_a_slow_source_is_tolerated() -> None:
    slow = with_video(SOURCE, fps=Fraction(1))

    assert found_in(slow, with_video(OUTPUT, end_seconds=3.1), **ASKED) == []


def test_source_whose_video_length_nobody_knows_is_not_judged_by_its_audio() -> None:
    unknown = replace(with_video(SOURCE, end_seconds=None), duration_seconds=10.0)

    assert found_in(unknown, OUTPUT, **ASKED) == []


def test_ntsc_rates_rounded_by_a_container_are_right() -> None:
    rounded = with_video(OUTPUT, fps=Fraction(2997, 100), frames=120)

    assert found_in(SOURCE, rounded, **ASKED, fps="30000/1001") == []
    assert len(found_in(SOURCE, rounded, **ASKED, fps="30")) == 1


def test_unasked_frame_rate_may_be_any() -> None:
    assert found_in(SOURCE, with_video(OUTPUT, fps=Fraction(7)), **ASKED, fps=None) == []


UNEVEN: dict[str, Any] = {"frames": 40, "end_seconds": 4.0}
"""Of a rate of 25, and far fewer."""


@pytest.mark.parametrize(
    ("frames", "is_right"), [(98, False), (99, True), (101, True), (102, False)]
)
def test_kept_timing_keeps_every_frame(frames: int, is_right: bool) -> None:
    found = found_in(SOURCE, with_video(OUTPUT, frames=frames), **ASKED, fps=None)

    assert found == ([] if is_right else [f"video has {frames} frames, expected were 100"])


@pytest.mark.parametrize("counted", [None, 200])
def test_count_that_nobody_knows_or_that_cannot_be_is_not_held_against_the_output(
    counted: int | None,
) -> None:
    source = with_video(SOURCE, frames=counted)

    assert found_in(source, with_video(OUTPUT, frames=63), **ASKED, fps=None) == []


@pytest.mark.parametrize(
    "source",
    [
        with_video(SOURCE, is_interlaced=True),
        with_video(SOURCE, codec="vp8"),
        with_video(SOURCE, codec="mpeg4"),
        replace(SOURCE, container="avi"),
    ],
    ids=["fields", "hidden frames", "frames not coded", "empty chunks"],
)
def test_packets_that_may_be_no_frames_are_not_counted_as_such(source: MediaFacts) -> None:
    assert found_in(source, with_video(OUTPUT, frames=63), **ASKED, fps=None) == []
    assert len(found_in(source, with_video(OUTPUT, frames=63), **ASKED)) == 1


def test_uneven_source_has_the_frames_that_it_has() -> None:
    source = with_video(SOURCE, **UNEVEN)

    assert found_in(source, with_video(OUTPUT, frames=40), **ASKED, fps=None) == []
    assert len(found_in(source, with_video(OUTPUT, frames=36), **ASKED, fps=None)) == 1


def test_limit_cuts_an_even_source_after_a_known_number_of_frames() -> None:
    short = replace(with_video(OUTPUT, end_seconds=2.0), audio=(replace(AUDIO, end_seconds=2.0),))

    asked = {"duration_seconds": 2.0, "fps": None}
    assert found_in(SOURCE, with_video(short, frames=50), **asked) == []
    assert len(found_in(SOURCE, with_video(short, frames=47), **asked)) == 1


def test_limit_in_a_gap_of_an_uneven_source_gives_a_shorter_picture_never_a_longer_one() -> None:
    source = with_video(SOURCE, **UNEVEN)
    sound = (replace(AUDIO, end_seconds=2.0),)
    early, late = (
        replace(with_video(OUTPUT, end_seconds=end, frames=11), audio=sound) for end in (1.5, 2.5)
    )

    asked = {"duration_seconds": 2.0, "fps": None}
    assert found_in(source, early, **asked) == []
    assert found_in(source, late, **asked) == ["video ends after 2.50 s, expected was 2.00 s"]
    assert len(found_in(SOURCE, early, **asked)) == 2


def test_source_whose_end_nobody_knows_may_end_before_the_limit() -> None:
    unknown = with_video(SOURCE, end_seconds=None)

    assert found_in(unknown, OUTPUT, duration_seconds=60.0) == []
    assert len(found_in(unknown, OUTPUT, duration_seconds=2.0)) == 2  # the picture and the sound


def test_asked_rate_has_as_many_frames_as_the_time_needs() -> None:
    halved = with_video(OUTPUT, fps=Fraction(10), frames=40)

    assert found_in(SOURCE, halved, **ASKED, fps="10") == []
    assert found_in(SOURCE, with_video(halved, frames=36), **ASKED, fps="10") == [
        "video has 36 frames, expected were 40"
    ]


def test_frame_that_a_recording_loses_where_its_picture_changes_is_not_missed() -> None:
    recording = replace(SOURCE, has_one_clock=False)
    lost = with_video(OUTPUT, fps=Fraction(99, 4), frames=99)

    assert found_in(recording, lost, **ASKED) == []
    assert len(found_in(SOURCE, lost, **ASKED)) == 1
