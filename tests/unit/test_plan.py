"""What comes out of a source: sizes, tracks and rates, as values."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest

from ffrtmp.domain.media import Audio, FrameSize
from tests.media.specs import SOURCE, plan
from workers.errors import UnsupportedSpec
from workers.ffmpeg.facts import AudioFacts, Colour, MediaFacts, SubtitleFacts
from workers.ffmpeg.plan import BT709

LADDER = [
    {"name": "1080p", "size": {"width": 1920, "height": 1080}, "fps": None, "crf": 23},
    {"name": "720p", "size": {"width": 1280, "height": 720}, "fps": None, "crf": 23},
    {"name": "360p", "size": {"width": 640, "height": 360}, "fps": None, "crf": 23},
]
ABR: dict[str, Any] = {
    "renditions": LADDER,
    "makes_folder": True,
    "fit": "inside",
    "may_upscale": False,
}
TRACK = SOURCE.audio[0]


def shot(width: int, height: int, **changes: Any) -> MediaFacts:
    """A source of this size."""
    return replace(SOURCE, video=replace(SOURCE.video, width=width, height=height, **changes))


def heard(*tracks: AudioFacts) -> MediaFacts:
    """A source with these tracks of sound."""
    return replace(SOURCE, audio=tracks)


def sizes(source: MediaFacts, **changes: Any) -> tuple[str, str, Fraction]:
    """Frame, picture within it and shape of the pixels of the only rendition."""
    (picture,) = plan(source, **changes).pictures
    return str(picture.frame), str(picture.inner), picture.sample_aspect


@pytest.mark.parametrize(
    ("source", "inner"),
    [
        (shot(640, 480), "640x480"),
        (shot(640, 360), "640x360"),
        (shot(480, 640), "360x480"),
        (shot(640, 480, rotation_degrees=90), "360x480"),
        (shot(320, 480, sample_aspect=Fraction(2)), "640x480"),
    ],
)
def test_picture_keeps_its_displayed_shape_within_the_asked_frame(
    source: MediaFacts, inner: str
) -> None:
    assert sizes(source, width=640, height=480) == ("640x480", inner, Fraction(1))


def test_inside_makes_the_picture_without_bars() -> None:
    assert sizes(shot(640, 360), width=320, height=320, fit="inside") == (
        "320x180",
        "320x180",
        Fraction(1),
    )


def test_picture_is_not_enlarged_where_that_was_refused() -> None:
    frame, inner, _ = sizes(shot(320, 240), width=640, height=480, may_upscale=False)

    assert (frame, inner) == ("640x480", "320x240")


@pytest.mark.parametrize(
    ("source", "frame", "aspect"),
    [
        (shot(853, 479), "852x478", Fraction(1)),
        (shot(720, 576, sample_aspect=Fraction(16, 15)), "720x576", Fraction(16, 15)),
        (
            shot(720, 576, sample_aspect=Fraction(16, 15), rotation_degrees=270),
            "576x720",
            Fraction(15, 16),
        ),
    ],
)
def test_unasked_size_is_the_sources_made_even(
    source: MediaFacts, frame: str, aspect: Fraction
) -> None:
    assert sizes(source, keeps_size=True) == (frame, frame, aspect)


def test_ladder_leaves_out_what_is_above_its_source_and_says_so() -> None:
    made = plan(shot(1280, 720), **ABR)

    assert [picture.name for picture in made.pictures] == ["720p", "360p"]
    assert made.left_out == ("rendition 1080p is above the source's size",)


def test_ladder_above_a_small_source_keeps_its_smallest_rung_in_the_sources_size() -> None:
    (picture,) = plan(shot(320, 180), **ABR).pictures

    assert (picture.name, picture.frame) == ("360p", FrameSize(width=320, height=180))


def test_ladder_of_a_tall_source_is_turned() -> None:
    tops = [str(picture.frame) for picture in plan(shot(1080, 1920), **ABR).pictures]

    assert tops == ["1080x1920", "720x1280", "360x640"]


def test_ladder_is_enlarged_on_request() -> None:
    made = plan(shot(320, 180), **(ABR | {"may_upscale": True}))

    assert [str(picture.frame) for picture in made.pictures] == ["1920x1080", "1280x720", "640x360"]


def test_all_tracks_come_out_unless_some_are_chosen() -> None:
    english, czech = replace(TRACK, language="eng"), replace(TRACK, language="cze")
    source = heard(english, czech)

    assert [sound.language for sound in plan(source).sounds] == ["eng", "cze"]
    chosen = plan(source, sound={"tracks": [2]})
    assert [(sound.source_track, sound.language) for sound in chosen.sounds] == [(1, "cze")]


def test_track_that_is_not_there_is_named() -> None:
    with pytest.raises(UnsupportedSpec, match="track 2, and the input has 1"):
        plan(SOURCE, sound={"tracks": [2]})


@pytest.mark.parametrize(
    ("asked", "channels"), [("keep", 6), ("stereo", 2), ("mono", 1)], ids=lambda value: str(value)
)
def test_channels_are_those_asked_for_and_at_most_six(asked: str, channels: int) -> None:
    (sound,) = plan(heard(replace(TRACK, channels=8)), sound={"channels": asked}).sounds

    assert sound.channels == channels


@pytest.mark.parametrize(
    ("container", "rate", "expected"),
    [
        ("mp4", 44_100, 44_100),
        ("mp4", 192_000, 96_000),
        ("mp4", 37_800, 32_000),
        ("webm", 44_100, 48_000),
    ],
)
def test_sample_rate_is_one_that_the_codec_has(container: str, rate: int, expected: int) -> None:
    codec = "vp9" if container == "webm" else "h264"
    source = heard(replace(TRACK, sample_rate=rate))
    (sound,) = plan(source, container=container, codec=codec).sounds

    assert sound.sample_rate == expected


def test_copied_sound_stays_what_it_is() -> None:
    (sound,) = plan(heard(replace(TRACK, channels=8, sample_rate=192_000)), audio="copy").sounds

    assert (sound.codec, sound.channels, sound.sample_rate) == (Audio.COPY, 8, 192_000)


def test_stream_carries_one_track_of_two_channels() -> None:
    made = plan(heard(replace(TRACK, channels=6), TRACK), output_mode="rtmp")

    assert [sound.channels for sound in made.sounds] == [2]


@pytest.mark.parametrize(
    ("container", "codecs"),
    [("mp4", ["mov_text"]), ("mkv", ["copy", "copy"]), ("webm", ["webvtt"])],
)
def test_subtitles_are_kept_where_the_container_can_hold_them(
    container: str, codecs: list[str]
) -> None:
    tracks = (
        SubtitleFacts(codec="subrip", is_text=True),
        SubtitleFacts(codec="hdmv_pgs_subtitle", is_text=False),
    )
    codec = "vp9" if container == "webm" else "h264"
    made = plan(replace(SOURCE, subtitles=tracks), container=container, codec=codec)

    assert [track.codec for track in made.subtitles] == codecs
    assert len(made.left_out) == 2 - len(codecs)


def test_hdr_is_carried_unless_it_is_to_be_mapped() -> None:
    hdr = Colour(primaries="bt2020", transfer="smpte2084", matrix="bt2020nc", range="tv")
    source = shot(640, 480, colour=hdr, bit_depth=10)

    kept, mapped = plan(source), plan(source, dynamic_range="sdr")

    assert (kept.colour, kept.bit_depth, kept.is_tone_mapped) == (hdr, 10, False)
    assert (mapped.colour, mapped.is_tone_mapped) == (BT709, True)


def test_stream_of_hdr_is_mapped_to_eight_bits() -> None:
    hdr = Colour(transfer="arib-std-b67")
    made = plan(shot(640, 480, colour=hdr, bit_depth=10), output_mode="rtmp")

    assert (made.bit_depth, made.is_tone_mapped) == (8, True)
