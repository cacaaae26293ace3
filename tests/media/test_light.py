"""Depth, colour and HDR of what comes out, read back from real files."""

from pathlib import Path
from typing import Any

import av
import pytest

from tests.media.specs import command, make_clip, plan, run
from workers.ffmpeg.facts import Colour, VideoFacts
from workers.ffmpeg.probe import probe
from workers.ffmpeg.verify import differences

PICTURE = ("-f", "lavfi", "-i", "testsrc2=size=96x64:rate=25", "-t", "0.2")
MASTERING = (
    "log-level=error:max-cll=1000,400:master-display="
    "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)"
)
CODECS = ["h264", "hevc", "av1", "vp9"]


def tags(transfer: str) -> str:
    """A filter that says what the picture is."""
    return (
        f"format=yuv420p10le,setparams=color_primaries=bt2020:color_trc={transfer}"
        ":colorspace=bt2020nc:range=tv"
    )


@pytest.fixture(scope="module")
def hdr10(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_clip(
        tmp_path_factory.mktemp("light") / "hdr10.mkv",
        *(*PICTURE, "-vf", tags("smpte2084"), "-c:v", "libx265", "-x265-params", MASTERING),
    )


def encoded(tmp_path: Path, source: Path, **changes: Any) -> VideoFacts:
    """Encode, expect it to be as planned, and say what it is."""
    asked: dict[str, Any] = {"fps": None, "duration_seconds": None, **changes}
    facts = probe(str(source))
    made = plan(facts, **asked)
    destination = tmp_path / f"out.{made.container}"
    end, log = run(command(str(source), facts, destination=destination, **asked))
    assert end.exit_code == 0, log
    output = probe(str(destination), count_frames=True)
    assert differences(made, made.pictures[0], output) == []
    return output.video


@pytest.mark.parametrize("codec", CODECS)
def test_hdr10_keeps_depth_tags_and_metadata(tmp_path: Path, hdr10: Path, codec: str) -> None:
    video = encoded(tmp_path, hdr10, codec=codec)

    assert (video.bit_depth, video.colour) == (
        10,
        Colour(
            primaries="bt2020",
            transfer="smpte2084",
            matrix="bt2020nc",
            range="tv",
            has_mastering_display=True,
            has_light_level=True,
        ),
    )


@pytest.mark.parametrize("codec", CODECS)
def test_hdr10_becomes_bt709_without_its_metadata_where_sdr_is_asked(
    tmp_path: Path, hdr10: Path, codec: str
) -> None:
    video = encoded(tmp_path, hdr10, codec=codec, dynamic_range="sdr", bit_depth=8)

    assert (video.bit_depth, video.colour) == (
        8,
        Colour(primaries="bt709", transfer="bt709", matrix="bt709", range="tv"),
    )


def test_hlg_is_kept_or_mapped_as_asked(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "hlg.mkv", *(*PICTURE, "-vf", tags("arib-std-b67"), "-c:v", "libx264")
    )

    assert encoded(tmp_path, source, codec="hevc").colour.transfer == "arib-std-b67"
    assert encoded(tmp_path, source, dynamic_range="sdr").colour.transfer == "bt709"


def test_hundred_nits_are_brighter_in_sdr_than_on_the_scale_of_pq(tmp_path: Path) -> None:
    """There they lie in the middle, 127 of 8 bits, and would stay without mapping."""
    grey = "nullsrc=size=64x64:rate=25,format=yuv420p10le,geq=lum=509:cb=512:cr=512"
    source = make_clip(
        tmp_path / "grey.mkv",
        *("-f", "lavfi", "-i", f"{grey},{tags('smpte2084')}", "-t", "0.2"),
        *("-c:v", "libx264", "-qp", "0"),
    )
    encoded(tmp_path, source, dynamic_range="sdr", bit_depth=8, crf=10, keeps_size=True)

    with av.open(str(tmp_path / "out.mp4")) as media:
        luma = bytes(next(media.decode(video=0)).planes[0])[0]
    assert luma > 140


@pytest.mark.parametrize("codec", CODECS)
def test_asked_depth_is_the_outputs_whatever_the_source_has(
    tmp_path: Path, hdr10: Path, codec: str
) -> None:
    plain = make_clip(tmp_path / "plain.mkv", *(*PICTURE, "-c:v", "libx264"))

    assert encoded(tmp_path, plain, codec=codec, bit_depth=10).bit_depth == 10
    assert encoded(tmp_path, hdr10, codec=codec, bit_depth=8).bit_depth == 8


@pytest.mark.parametrize("codec", CODECS)
def test_full_range_stays_full_range(tmp_path: Path, codec: str) -> None:
    full = ("-vf", "scale=out_range=pc,format=yuv420p", "-c:v", "libx264")
    source = make_clip(tmp_path / "full.mkv", *(*PICTURE, *full))

    assert encoded(tmp_path, source, codec=codec).colour.range == "pc"


@pytest.mark.parametrize("pixels", ["gbrp", "yuv444p10le", "yuv422p", "gray"])
def test_pixels_of_other_kinds_become_420(tmp_path: Path, pixels: str) -> None:
    source = make_clip(tmp_path / "odd.mkv", *(*PICTURE, "-vf", f"format={pixels}", "-c:v", "ffv1"))
    video = encoded(tmp_path, source)

    assert video.pixel_format in ("yuv420p", "yuvj420p", "yuv420p10le")


def test_red_of_an_rgb_source_stays_red(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "red.mkv",
        *("-f", "lavfi", "-i", "color=red:size=64x64:rate=25,format=gbrp", "-t", "0.2"),
        *("-c:v", "ffv1"),
    )
    video = encoded(tmp_path, source, crf=5, keeps_size=True)

    assert video.colour.matrix == "bt709"
    with av.open(str(tmp_path / "out.mp4")) as media:
        shown = next(media.decode(video=0))
        assert shown.format.name == "yuv420p"
        planes = [bytes(plane)[0] for plane in shown.planes]
    # BT.709's red: Y 63, Cb 102, Cr 240; BT.601's would be 81, 90, 240
    assert planes == pytest.approx([63, 102, 240], abs=4)
