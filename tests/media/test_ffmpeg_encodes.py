"""Every command line really runs, and its output is what the spec asked for."""

from pathlib import Path
from typing import Any

import av
import pytest

from ffrtmp.domain.retry import FailureClass
from tests.media.specs import BUNNY, command, make_clip, plan, run
from workers.ffmpeg.failures import classify
from workers.ffmpeg.probe import ProbeFailed, probe
from workers.ffmpeg.verify import differences

MATRIX = [
    ("h264", "mp4"),
    ("h264", "mkv"),
    ("hevc", "mp4"),
    ("hevc", "mkv"),
    ("av1", "mp4"),
    ("av1", "mkv"),
    ("av1", "webm"),
    ("vp9", "mp4"),
    ("vp9", "mkv"),
    ("vp9", "webm"),
]


def encode(tmp_path: Path, source: Path | None = None, **changes: Any) -> list[str]:
    """Encode, expect ffmpeg to succeed, and say what differs."""
    facts = probe(str(source)) if source else None
    made = plan(facts, **changes)
    destination = tmp_path / f"out.{made.container}"
    location = str(source) if source else None
    end, log = run(command(location, facts, destination=destination, **changes))
    assert end.exit_code == 0, log
    return differences(made, made.pictures[0], probe(str(destination), count_frames=True))


@pytest.mark.parametrize(("codec", "container"), MATRIX)
def test_test_source_in_every_codec_and_container_is_what_was_asked(
    tmp_path: Path, codec: str, container: str
) -> None:
    assert encode(tmp_path, codec=codec, container=container) == []


@pytest.mark.parametrize(("codec", "container"), MATRIX)
def test_live_bit_rate_in_every_codec_and_container_is_what_was_asked(
    tmp_path: Path, codec: str, container: str
) -> None:
    changes: dict[str, Any] = {"codec": codec, "container": container, "live": True}

    assert encode(tmp_path, crf=None, bits_per_second=200_000, **changes) == []


@pytest.mark.parametrize(("codec", "container"), MATRIX)
def test_real_clip_in_every_codec_and_container_is_what_was_asked(
    tmp_path: Path, codec: str, container: str
) -> None:
    assert encode(tmp_path, BUNNY, codec=codec, container=container, fps=None) == []


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
@pytest.mark.parametrize("size", [(16, 16), (854, 480), (64, 256)])
def test_odd_frame_sizes_encode_in_every_codec(
    tmp_path: Path, codec: str, size: tuple[int, int]
) -> None:
    size_asked: dict[str, Any] = {"width": size[0], "height": size[1]}

    assert encode(tmp_path, codec=codec, duration_seconds=0.2, **size_asked) == []


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
@pytest.mark.parametrize("preset", ["ultrafast", "veryfast", "fast", "medium", "slow"])
def test_every_preset_encodes_in_every_codec(tmp_path: Path, codec: str, preset: str) -> None:
    asked: dict[str, Any] = {
        "codec": codec,
        "preset": preset,
        "audio": "none",
        "duration_seconds": 0.1,
    }

    assert encode(tmp_path, width=64, height=64, **asked) == []


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_best_quality_takes_more_bits_than_the_usual_one(
    tmp_path: Path, codec: str, live: bool
) -> None:
    sizes = []
    for crf in (0, 35):
        assert encode(tmp_path, codec=codec, crf=crf, live=live, audio="none") == []
        sizes.append((tmp_path / "out.mp4").stat().st_size)

    assert sizes[0] > sizes[1]


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
@pytest.mark.parametrize("fps", ["5", None])
def test_live_output_has_a_key_frame_every_two_seconds(
    tmp_path: Path, codec: str, fps: str | None
) -> None:
    source = make_clip(
        tmp_path / "slow.mkv",
        *("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=5", "-t", "7", "-c:v", "libx264"),
    )
    asked = {"width": 64, "height": 64, "codec": codec, "fps": fps, "live": True}

    assert encode(tmp_path, source, duration_seconds=None, **asked) == []

    with av.open(str(tmp_path / "out.mp4")) as media:
        keys = sorted(
            float(packet.pts * packet.time_base)
            for packet in media.demux(video=0)
            if packet.is_keyframe and packet.pts is not None and packet.time_base
        )
    assert keys == pytest.approx([0, 2, 4, 6], abs=0.21)


@pytest.mark.parametrize("fps", ["24000/1001", "30000/1001", "60", "12"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_asked_frame_rate_is_the_outputs_frame_rate(
    tmp_path: Path, fps: str, container: str
) -> None:
    assert encode(tmp_path, BUNNY, fps=fps, container=container, duration_seconds=1.5) == []


def test_limit_beyond_the_end_of_the_source_keeps_the_whole_source(tmp_path: Path) -> None:
    assert encode(tmp_path, BUNNY, duration_seconds=60, audio="none") == []


@pytest.mark.parametrize("audio", ["aac", "opus", "copy", "none", "auto"])
@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_every_audio_choice_gives_that_audio(tmp_path: Path, audio: str, container: str) -> None:
    assert encode(tmp_path, BUNNY, audio=audio, container=container) == []


@pytest.mark.parametrize("layout", ["mono", "stereo", "5.1(side)", "7.1"])
@pytest.mark.parametrize("container", ["mp4", "webm"])
def test_any_channel_layout_encodes_to_at_most_six_channels(
    tmp_path: Path, layout: str, container: str
) -> None:
    source = make_clip(
        tmp_path / "sound.mkv",
        *("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=10"),
        *("-f", "lavfi", "-i", f"anullsrc=channel_layout={layout}:sample_rate=44100"),
        *("-t", "0.5", "-c:v", "libx264", "-c:a", "pcm_s16le"),
    )

    assert encode(tmp_path, source, codec="av1", container=container, fps=None) == []

    expected = {"mono": 1, "stereo": 2}.get(layout, 6)
    assert [track.channels for track in probe(str(tmp_path / f"out.{container}")).audio] == [
        expected
    ]


def test_audio_longer_than_video_is_kept_and_accepted(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "long-audio.mkv",
        *("-f", "lavfi", "-t", "0.5", "-i", "testsrc2=size=64x64:rate=10"),
        *("-f", "lavfi", "-t", "2", "-i", "sine=sample_rate=48000", "-c:v", "libx264"),
    )

    assert encode(tmp_path, source, duration_seconds=None, fps=None) == []
    assert probe(str(tmp_path / "out.mp4")).duration_seconds == pytest.approx(2, abs=0.1)


def test_video_that_begins_after_the_audio_is_accepted(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "late-video.mkv",
        *("-itsoffset", "0.7", "-f", "lavfi", "-t", "1", "-i", "testsrc2=size=64x64:rate=10"),
        *("-f", "lavfi", "-t", "2", "-i", "sine=sample_rate=48000", "-c:v", "libx264"),
    )

    assert encode(tmp_path, source, duration_seconds=1.5, fps=None) == []


@pytest.mark.parametrize("limit", [None, 30.0])
def test_joined_transport_streams_come_out_whole(tmp_path: Path, limit: float | None) -> None:
    part = make_clip(
        tmp_path / "part.ts",
        *("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25", "-t", "2", "-c:v", "libx264"),
    ).read_bytes()
    joined = tmp_path / "joined.ts"
    joined.write_bytes(part + part)

    assert encode(tmp_path, joined, duration_seconds=limit) == []

    assert probe(str(tmp_path / "out.mp4")).duration_seconds == pytest.approx(4.0, abs=0.1)


def test_turned_phone_video_comes_out_upright_with_bars(tmp_path: Path) -> None:
    flat = make_clip(
        tmp_path / "flat.mp4",
        *("-f", "lavfi", "-i", "color=white:size=160x80:rate=10", "-t", "0.5", "-c:v", "libx264"),
    )
    turned = make_clip(
        tmp_path / "turned.mp4", "-display_rotation:v:0", "90", "-i", str(flat), "-c", "copy"
    )

    assert probe(str(turned)).video.rotation_degrees == 270
    assert encode(tmp_path, turned, width=160, height=160, fps=None) == []

    columns = _bright_columns(tmp_path / "out.mp4")
    assert columns == pytest.approx((40, 120), abs=3)


def test_pixels_that_are_not_square_keep_the_display_shape(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "anamorphic.mkv",
        *("-f", "lavfi", "-i", "color=white:size=80x160:rate=10", "-t", "0.5"),
        *("-vf", "setsar=2", "-c:v", "libx264"),
    )

    assert encode(tmp_path, source, width=320, height=160, fps=None) == []

    assert _bright_columns(tmp_path / "out.mp4") == pytest.approx((80, 240), abs=3)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1", "vp9"])
def test_ceiling_makes_the_file_of_a_quality_smaller(tmp_path: Path, codec: str) -> None:
    best: dict[str, Any] = {"codec": codec, "crf": 5, "duration_seconds": 2.0, "audio": "none"}
    free, capped = tmp_path / "free", tmp_path / "capped"
    free.mkdir()
    capped.mkdir()

    assert encode(free, **best) == []
    assert encode(capped, **best, max_bits_per_second=60_000) == []

    assert (capped / "out.mp4").stat().st_size < 0.7 * (free / "out.mp4").stat().st_size


@pytest.mark.parametrize("container", ["mp4", "mkv"])
def test_unasked_size_keeps_the_pixels_and_their_shape(tmp_path: Path, container: str) -> None:
    source = make_clip(
        tmp_path / "odd.mkv",
        *("-f", "lavfi", "-i", "testsrc2=size=181x145:rate=10:duration=0.5"),
        *("-vf", "setsar=16/15", "-pix_fmt", "yuv444p", "-c:v", "libx264"),
    )

    assert encode(tmp_path, source, keeps_size=True, fps=None, container=container) == []

    video = probe(str(tmp_path / f"out.{container}")).video
    assert (video.width, video.height) == (180, 144)
    assert float(video.sample_aspect) == pytest.approx(16 / 15, rel=0.01)


def test_picture_inside_the_asked_size_has_no_bars(tmp_path: Path) -> None:
    assert encode(tmp_path, BUNNY, width=160, height=160, fit="inside") == []

    video = probe(str(tmp_path / "out.mp4")).video
    assert (video.width, video.height) == (160, 90)


def test_chosen_tracks_come_out_in_the_asked_channels(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "two.mkv",
        *("-i", str(BUNNY), "-t", "0.6", "-map", "0:v", "-map", "0:a", "-map", "0:a"),
        *("-c", "copy", "-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=cze"),
    )
    sound = {"tracks": [2], "channels": "stereo", "bits_per_second": 64_000}

    assert encode(tmp_path, source, sound=sound) == []

    with av.open(str(tmp_path / "out.mp4")) as media:
        (track,) = media.streams.audio
        assert (track.layout.nb_channels, track.language) == (2, "cze")


def test_all_six_channels_are_kept_unless_fewer_are_asked(tmp_path: Path) -> None:
    assert encode(tmp_path, BUNNY) == []

    assert [track.channels for track in probe(str(tmp_path / "out.mp4")).audio] == [6]


def test_cover_picture_of_a_song_is_no_video(tmp_path: Path) -> None:
    cover = make_clip(
        tmp_path / "cover.png", "-f", "lavfi", "-i", "color=red:size=300x300", "-frames:v", "1"
    )
    song = make_clip(
        tmp_path / "song.m4a",
        *("-i", str(cover), "-i", str(BUNNY), "-map", "0", "-map", "1:a", "-c", "copy"),
        *("-disposition:v:0", "attached_pic", "-f", "mp4"),
    )
    argv = command(str(song), destination=tmp_path / "out.mp4")

    end, log = run(argv)

    failure = classify(exit_code=end.exit_code, signal=end.signal, stderr=log)
    assert failure.failure_class is FailureClass.BAD_INPUT
    with pytest.raises(ProbeFailed, match="has no video"):
        probe(str(song))


def test_rounded_sizes_still_have_square_pixels(tmp_path: Path) -> None:
    assert encode(tmp_path, BUNNY, width=854, height=480, duration_seconds=0.2) == []

    with av.open(str(tmp_path / "out.mp4")) as media:
        assert media.streams.video[0].sample_aspect_ratio == 1


def test_output_holds_no_data_or_chapter_tracks(tmp_path: Path) -> None:
    chapters = tmp_path / "chapters.txt"
    chapters.write_text(";FFMETADATA1\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=900\ntitle=one\n")
    source = make_clip(
        tmp_path / "chapters.mkv",
        *("-i", str(BUNNY), "-i", str(chapters), "-map_chapters", "1", "-c", "copy"),
    )

    assert encode(tmp_path, source, fps=None) == []

    with av.open(str(tmp_path / "out.mp4")) as media:
        assert [stream.type for stream in media.streams] == ["video", "audio"]


def test_index_of_an_mp4_comes_before_its_media(tmp_path: Path) -> None:
    assert encode(tmp_path) == []

    data = (tmp_path / "out.mp4").read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")


def test_many_threads_encode_in_every_codec(tmp_path: Path) -> None:
    for codec in ("h264", "hevc", "av1", "vp9"):
        destination = tmp_path / f"{codec}.mp4"
        end, log = run(
            command(destination=destination, threads=16, codec=codec, duration_seconds=0.2)
        )

        assert end.exit_code == 0, log


def test_strange_file_names_are_only_names(tmp_path: Path) -> None:
    source = tmp_path / "-i http:x %d'; é\u202e.mp4"
    source.write_bytes(BUNNY.read_bytes())

    assert encode(tmp_path, source, fps=None) == []


def test_playlist_that_points_at_other_protocols_reads_nothing(tmp_path: Path) -> None:
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXTINF:5,\nhttp://127.0.0.1:9/x.ts\n#EXT-X-ENDLIST\n")
    argv = command(str(playlist), destination=tmp_path / "out.mp4")

    end, log = run(argv)

    assert end.exit_code not in (0, None)
    assert "Connection" not in log


def _bright_columns(path: Path) -> tuple[int, int]:
    """First and one past the last column of the middle row that is bright."""
    with av.open(str(path)) as media:
        frame = next(media.decode(video=0))
    plane = frame.planes[0]
    row = bytes(plane)[plane.line_size * (frame.height // 2) :][: frame.width]
    bright = [column for column, value in enumerate(row) if value > 128]
    return bright[0], bright[-1] + 1
