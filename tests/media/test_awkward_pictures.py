"""Pictures that encoders, players or clocks stumble over: what really comes out of them."""

from fractions import Fraction
from pathlib import Path

import av
import pytest

from tests.media.awkward import (
    X264,
    bright_corners,
    cornered,
    first_frame,
    metadata_of_light,
    picture,
    rate_of,
    times,
    tone,
    transcoded,
)
from tests.media.specs import make_clip
from workers.ffmpeg.probe import probe

HDR10 = (
    *("-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast"),
    *("-color_primaries", "bt2020", "-color_trc", "smpte2084", "-colorspace", "bt2020nc"),
    "-x265-params",
    "log-level=error:max-cll=1000,400:master-display="
    "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)",
)


def size(path: Path) -> tuple[int, int]:
    frame = first_frame(path)
    return frame.width, frame.height


@pytest.mark.parametrize(
    ("turn", "corner", "to"),
    [
        (("-display_rotation:v:0", "90"), "bottom left", "mp4"),
        (("-display_rotation:v:0", "180"), "bottom right", "mkv"),
        (("-display_rotation:v:0", "270"), "top right", "mkv"),
        (("-display_hflip:v:0",), "top right", "mp4"),
    ],
)
def test_turned_or_mirrored_picture_comes_out_upright_and_unmarked(
    tmp_path: Path, turn: tuple[str, ...], corner: str, to: str
) -> None:
    flat = cornered(tmp_path / "flat.mp4")
    turned = make_clip(tmp_path / "turned.mp4", *turn, "-i", str(flat), "-c", "copy")
    assert bright_corners(turned) == {"top left"}

    made = transcoded(turned, to=to)

    assert bright_corners(made) == {corner}
    assert first_frame(made).rotation == 0
    assert size(made) == ((96, 64) if abs(first_frame(turned).rotation) in (0, 180) else (64, 96))


@pytest.mark.parametrize("to", ["mp4", "mkv"])
def test_odd_size_loses_a_row_and_a_column(tmp_path: Path, to: str) -> None:
    odd = make_clip(tmp_path / "odd.mkv", *picture("97x65"), "-pix_fmt", "yuv444p", *X264)

    assert size(transcoded(odd, to=to)) == (96, 64)


@pytest.mark.parametrize("to", ["mp4", "mkv"])
def test_anamorphic_picture_keeps_its_shape(tmp_path: Path, to: str) -> None:
    wide = make_clip(tmp_path / "wide.mkv", *picture(), "-vf", "setsar=16/11", *X264)

    made = transcoded(wide, to=to)

    with av.open(str(made)) as media:
        shape = media.streams.video[0].sample_aspect_ratio
    assert shape is not None
    assert float(shape) == pytest.approx(16 / 11, rel=0.01)


def test_anamorphic_picture_turned_keeps_its_shape_the_other_way(tmp_path: Path) -> None:
    wide = make_clip(tmp_path / "wide.mp4", *picture(), "-vf", "setsar=16/11", *X264)
    turned = make_clip(
        *(tmp_path / "turned.mp4", "-display_rotation:v:0", "90", "-i", str(wide), "-c", "copy")
    )

    made = transcoded(turned)

    with av.open(str(made)) as media:
        assert media.streams.video[0].sample_aspect_ratio == Fraction(11, 16)
    assert size(made) == (64, 96)


@pytest.mark.parametrize(("source", "to"), [("mp4", "mkv"), ("mkv", "mp4"), ("mp4", "mp4")])
def test_uneven_frames_keep_their_times(tmp_path: Path, source: str, to: str) -> None:
    uneven = make_clip(
        tmp_path / f"uneven.{source}",
        *(*picture(seconds=1.6), "-vf", "select='lt(n,6)+not(mod(n,7))'"),
        *("-fps_mode", "vfr", *X264),
    )

    made = transcoded(uneven, to=to)

    assert len(times(uneven)) == 11
    assert times(made) == pytest.approx(times(uneven), abs=0.002)


def test_uneven_frames_become_even_where_a_rate_is_asked(tmp_path: Path) -> None:
    uneven = make_clip(
        tmp_path / "uneven.mp4",
        *(*picture(seconds=1.6), "-vf", "select='lt(n,6)+not(mod(n,7))'"),
        *("-fps_mode", "vfr", *X264),
    )

    shown = times(transcoded(uneven, fps="10"))

    assert shown == pytest.approx([number / 10 for number in range(len(shown))])
    assert shown[-1] == pytest.approx(times(uneven)[-1], abs=0.11)


@pytest.mark.parametrize(
    ("rate", "to"),
    [("1", "mp4"), ("1", "webm"), ("1000", "mp4"), ("1000", "mkv"), ("24000/1001", "mkv")],
)
def test_slow_and_fast_pictures_keep_every_frame(tmp_path: Path, rate: str, to: str) -> None:
    count = 3 if rate == "1" else 30
    clip = make_clip(
        tmp_path / "clip.mkv", *picture(rate=rate, seconds=9), "-frames:v", str(count), *X264
    )

    made = transcoded(clip, to=to, codec="vp9" if to == "webm" else "h264")

    assert len(times(made)) == count
    assert rate_of(made) == pytest.approx(float(Fraction(rate)), rel=0.01)


@pytest.mark.parametrize(
    ("fps", "to"), [(None, "mp4"), (None, "mkv"), ("30", "mp4"), ("5", "mp4"), ("5", "mkv")]
)
def test_single_frame_comes_out(tmp_path: Path, fps: str | None, to: str) -> None:
    single = make_clip(tmp_path / "single.mp4", *picture(), "-frames:v", "1", *X264)

    assert len(times(transcoded(single, to=to, fps=fps))) == 1


def test_one_key_frame_for_all_of_it_loses_no_frame(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "long.mp4", *picture(seconds=4), *X264, "-g", "999", "-bf", "3")

    assert len(times(transcoded(clip))) == 100


@pytest.mark.parametrize("to", ["mp4", "mkv"])
def test_interlaced_picture_comes_out_progressive_at_its_frame_rate(
    tmp_path: Path, to: str
) -> None:
    fields = make_clip(
        tmp_path / "fields.mkv",
        *(*picture(rate="50"), "-vf", "interlace", *X264, "-x264opts", "tff=1:interlaced=1"),
    )
    assert first_frame(fields).interlaced_frame

    made = transcoded(fields, to=to)

    assert not first_frame(made).interlaced_frame
    assert (len(times(made)), rate_of(made)) == (15, 25.0)


@pytest.mark.parametrize("pixels", ["yuv422p", "yuv444p", "yuv422p10le"])
def test_finer_colour_becomes_420_in_its_own_depth(tmp_path: Path, pixels: str) -> None:
    fine = make_clip(tmp_path / "fine.mkv", *picture(), "-pix_fmt", pixels, *X264)

    made = transcoded(fine, codec="hevc")

    assert first_frame(made).format.name == ("yuv420p10le" if "10" in pixels else "yuv420p")


@pytest.mark.parametrize("kind", ["webm", "mov"])
def test_transparency_is_left_out(tmp_path: Path, kind: str) -> None:
    encoder = {
        "webm": ("format=rgba,colorchannelmixer=aa=0.5,format=yuva420p", "libvpx-vp9"),
        "mov": ("format=rgba,colorchannelmixer=aa=0.5", "png"),
    }
    filters, codec = encoder[kind]
    speed = ("-deadline", "realtime", "-cpu-used", "8") if kind == "webm" else ()
    clear = make_clip(
        tmp_path / f"clear.{kind}", *picture(seconds=0.2), "-vf", filters, "-c:v", codec, *speed
    )

    made = transcoded(clear)

    assert first_frame(made).format.name == "yuv420p"
    assert len(times(made)) == 5


@pytest.mark.parametrize("fps", [None, "30"])
def test_picture_that_changes_its_size_midway_comes_out_in_one(
    tmp_path: Path, fps: str | None
) -> None:
    wide = make_clip(tmp_path / "wide.ts", *picture("96x64"), *X264)
    tall = make_clip(tmp_path / "tall.ts", *picture("64x96"), *X264, "-output_ts_offset", "0.6")
    both = tmp_path / "both.ts"
    both.write_bytes(wide.read_bytes() + tall.read_bytes())

    made = transcoded(both, fps=fps, keeps_size=False, width=96, height=64)

    with av.open(str(made)) as media:
        sizes = {(frame.width, frame.height) for frame in media.decode(video=0)}
    assert sizes == {(96, 64)}
    assert times(made)[-1] == pytest.approx(1.2, abs=0.08)


@pytest.mark.parametrize("name", ["bare.avi", "bare.h264", "bare.m4v"])
def test_pictures_without_times_of_their_own_come_out_evenly(tmp_path: Path, name: str) -> None:
    encoder = ("-c:v", "mpeg4") if name.endswith("m4v") else X264
    bare = make_clip(tmp_path / name, *picture(), *encoder)

    shown = times(transcoded(bare))

    assert shown == pytest.approx([number / 25 for number in range(15)], abs=0.001)


def test_packed_frames_of_an_old_avi_come_out_once_each(tmp_path: Path) -> None:
    old = make_clip(
        tmp_path / "old.avi",
        *(*picture(), *tone(), "-c:v", "mpeg4", "-bf", "2", "-c:a", "mp2"),
    )

    assert len(times(transcoded(old))) == 15


@pytest.mark.parametrize("to", ["mp4", "mkv"])
def test_hdr10_keeps_the_very_numbers_of_its_metadata(tmp_path: Path, to: str) -> None:
    source = make_clip(tmp_path / "hdr10.mkv", *picture(seconds=0.2), *HDR10)

    made = transcoded(source, to=to, codec="hevc")

    assert first_frame(made).format.name == "yuv420p10le"
    assert metadata_of_light(made) == metadata_of_light(source)
    assert len(metadata_of_light(made)) == 2


def test_picture_without_sound_has_none_afterwards(tmp_path: Path) -> None:
    silent = make_clip(tmp_path / "silent.mp4", *picture(), *X264)

    assert probe(str(transcoded(silent))).audio == ()


def test_extra_pictures_and_data_of_a_camera_are_left_out(tmp_path: Path) -> None:
    cover = make_clip(tmp_path / "cover.png", *picture("32x32"), "-frames:v", "1")
    film = make_clip(
        tmp_path / "film.mp4",
        *(*picture(), "-i", str(cover), "-map", "0", "-map", "1", *X264),
        *("-c:v:1", "png", "-disposition:v:1", "attached_pic"),
    )

    made = transcoded(film)

    with av.open(str(made)) as media:
        assert [stream.type for stream in media.streams] == ["video"]
    assert size(made) == (96, 64)
