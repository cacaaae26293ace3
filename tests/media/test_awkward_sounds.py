"""Sound and subtitles that containers or clocks stumble over: what really comes out of them."""

from pathlib import Path

import av
import pytest

from tests.media.awkward import X264, beep, flash, flash_and_beep, picture, tone, transcoded
from tests.media.specs import make_clip

FRAME_SECONDS = 0.04
SUBTITLES = "1\n00:00:00,100 --> 00:00:00,400\nGrüße\n"


def sounds(path: Path) -> list[tuple[str, int, int, str | None]]:
    """Codec, channels, rate and language of each track of sound."""
    with av.open(str(path)) as media:
        return [
            (
                track.codec_context.codec.canonical_name,
                track.layout.nb_channels,
                track.rate,
                track.language,
            )
            for track in media.streams.audio
        ]


def subtitles(path: Path) -> list[tuple[str, str | None, str]]:
    """Codec, language and first words of each track of subtitles."""
    with av.open(str(path)) as media:
        said = {
            packet.stream.index: bytes(packet).decode("utf-8", "replace")
            for packet in media.demux()
            if packet.stream.type == "subtitle" and packet.size > 2
        }
        return [
            (track.codec_context.codec.canonical_name, track.language, said.get(track.index, ""))
            for track in media.streams.subtitles
        ]


@pytest.fixture
def words(tmp_path: Path) -> Path:
    path = tmp_path / "words.srt"
    path.write_text(SUBTITLES)
    return path


def test_six_channels_stay_six_and_become_two_where_that_is_asked(tmp_path: Path) -> None:
    surround = make_clip(
        tmp_path / "surround.mkv",
        *(*picture(), "-f", "lavfi", "-i", "anullsrc=channel_layout=5.1:sample_rate=48000"),
        *("-t", "0.6", *X264, "-c:a", "aac"),
    )

    assert sounds(transcoded(surround)) == [("aac", 6, 48000, "und")]
    two = {"codec": "aac", "channels": "stereo"}
    assert sounds(transcoded(surround, sound=two)) == [("aac", 2, 48000, "und")]


@pytest.mark.parametrize("to", ["mp4", "mkv", "webm"])
def test_two_tracks_keep_their_order_and_languages(tmp_path: Path, to: str) -> None:
    two = make_clip(
        tmp_path / "two.mkv",
        *(*picture(), *tone(), *tone(rate=44100), "-map", "0", "-map", "1", "-map", "2", *X264),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=fra"),
    )

    made = transcoded(two, to=to, codec="vp9" if to == "webm" else "h264")

    assert [(channels, language) for _, channels, _, language in sounds(made)] == [
        (1, "eng"),
        (1, "fra"),
    ]


@pytest.mark.parametrize(
    ("rate", "to", "expected"),
    [
        (22_050, "mp4", 22_050),
        (96_000, "mp4", 96_000),
        (7_350, "mp4", 8_000),
        (192_000, "mkv", 96_000),
        (11_025, "webm", 48_000),
    ],
)
def test_unusual_rate_becomes_the_nearest_that_its_codec_has(
    tmp_path: Path, rate: int, to: str, expected: int
) -> None:
    unusual = make_clip(
        tmp_path / "unusual.mkv", *picture(), *tone(rate=rate), *X264, "-c:a", "pcm_s16le"
    )

    made = transcoded(unusual, to=to, codec="vp9" if to == "webm" else "h264")

    assert [found for _, _, found, _ in sounds(made)] == [expected]


@pytest.mark.parametrize(
    ("source", "to", "codec"),
    [
        ("mkv", "mkv", "subrip"),
        ("mkv", "mp4", "mov_text"),
        ("mp4", "mp4", "mov_text"),
        ("mp4", "mkv", "subrip"),
        ("mkv", "webm", "webvtt"),
    ],
)
def test_subtitles_come_along_in_their_language(
    tmp_path: Path, words: Path, source: str, to: str, codec: str
) -> None:
    encoder = {"mkv": "srt", "mp4": "mov_text"}[source]
    film = make_clip(
        tmp_path / f"film.{source}",
        *(*picture(), "-i", str(words), *X264, "-c:s", encoder),
        *("-metadata:s:s:0", "language=deu"),
    )

    ((found, language, text),) = subtitles(
        transcoded(film, to=to, codec="vp9" if to == "webm" else "h264")
    )

    assert (found, language) == (codec, "deu")
    assert "Grüße" in text


def test_subtitles_are_left_out_where_that_is_asked(tmp_path: Path, words: Path) -> None:
    film = make_clip(tmp_path / "film.mkv", *picture(), "-i", str(words), *X264, "-c:s", "srt")

    assert subtitles(transcoded(film, subtitles="none")) == []


@pytest.mark.parametrize(
    "change",
    [
        pytest.param(("-c", "copy"), id="as it is"),
        pytest.param(("-c", "copy", "-output_ts_offset", "100"), id="later"),
        pytest.param(("-ss", "0.3", "-c", "copy"), id="cut"),
    ],
)
@pytest.mark.parametrize(("source", "to"), [("mp4", "mkv"), ("mkv", "mp4"), ("ts", "mp4")])
def test_sound_stays_with_its_picture(
    tmp_path: Path, source: str, change: tuple[str, ...], to: str
) -> None:
    whole = flash_and_beep(tmp_path / "whole.mp4", at=0.6)
    changed = make_clip(tmp_path / f"changed.{source}", "-i", str(whole), *change)

    made = transcoded(changed, to=to)

    assert beep(made) - flash(made) == pytest.approx(beep(changed) - flash(changed), abs=0.03)
    assert abs(beep(made) - flash(made)) < FRAME_SECONDS


@pytest.mark.parametrize("fps", [None, "12.5"])
def test_delayed_sound_stays_delayed(tmp_path: Path, fps: str | None) -> None:
    whole = flash_and_beep(tmp_path / "whole.mp4", at=0.4)
    late = make_clip(
        tmp_path / "late.mkv",
        *("-i", str(whole), "-itsoffset", "0.4", "-i", str(whole)),
        *("-map", "0:v", "-map", "1:a", "-c", "copy"),
    )

    made = transcoded(late, fps=fps)

    assert beep(made) - flash(made) == pytest.approx(0.4, abs=0.08 if fps else FRAME_SECONDS)


def test_delayed_picture_stays_delayed(tmp_path: Path) -> None:
    whole = flash_and_beep(tmp_path / "whole.mp4", at=0.4)
    late = make_clip(
        tmp_path / "late.mkv",
        *("-itsoffset", "0.4", "-i", str(whole), "-i", str(whole)),
        *("-map", "0:v", "-map", "1:a", "-c", "copy"),
    )

    made = transcoded(late)

    assert flash(made) - beep(made) == pytest.approx(0.4, abs=FRAME_SECONDS)


@pytest.mark.parametrize("limit", [None, 0.5])
def test_sound_longer_than_its_picture_is_kept_whole(tmp_path: Path, limit: float | None) -> None:
    long = make_clip(tmp_path / "long.mp4", *picture(seconds=0.4), *tone(1.2), *X264)

    with av.open(str(transcoded(long, duration_seconds=limit))) as media:
        heard = sum(frame.samples / frame.rate for frame in media.decode(audio=0))

    assert heard == pytest.approx(limit or 1.2, abs=0.05)


def test_gap_in_the_sound_is_filled_with_silence(tmp_path: Path) -> None:
    gap = make_clip(
        tmp_path / "gap.mkv",
        *(*picture(seconds=1.6), *tone(1.6), "-af", "aselect='not(between(t,0.4,1.0))'"),
        *(*X264, "-c:a", "pcm_s16le"),
    )

    with av.open(str(transcoded(gap))) as media:
        frames = list(media.decode(audio=0))

    samples = sum(frame.samples for frame in frames)
    assert samples / 48_000 == pytest.approx(1.6, abs=0.05)
