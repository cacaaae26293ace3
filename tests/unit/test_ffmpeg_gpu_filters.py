"""Which pictures stay on a GPU, and what ffmpeg is told then; tests/media tries it."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.media import Hardware
from tests.media.specs import SOURCE, plan
from workers.ffmpeg.command import transcode
from workers.ffmpeg.facts import Colour, MediaFacts
from workers.ffmpeg.gpu_filters import stays_on_gpu
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.streaming import publish
from workers.ffmpeg.target import CPU, Coded, Target

H264 = Coded(codec="h264", bit_depth=8)
HEVC_10 = Coded(codec="hevc", bit_depth=10)
DECODES = frozenset({H264, HEVC_10})
NVENC = Target(hardware=Hardware.NVENC, address="1", decodes=DECODES)
QSV = Target(hardware=Hardware.QSV, address="/dev/dri/renderD128", decodes=DECODES)
VAAPI = Target(hardware=Hardware.VAAPI, address="/dev/dri/renderD129", decodes=DECODES)
PQ = Colour(primaries="bt2020", transfer="smpte2084", matrix="bt2020nc", range="tv")
OWN_SIZE: dict[str, Any] = {"keeps_size": True}
DEEP: dict[str, Any] = {"codec": "hevc", "pixel_format": "yuv420p10le", "bit_depth": 10}


def source(**changes: Any) -> MediaFacts:
    return replace(SOURCE, video=replace(SOURCE.video, **changes))


def argv(target: Target, facts: MediaFacts | None = SOURCE, **changes: Any) -> list[str]:
    made = transcode(
        plan(facts, **changes),
        ffmpeg=Path("/bin/ffmpeg"),
        source=None if facts is None else "/in.mkv",
        destination=Path("/out/.tmp-1"),
        threads=2,
        target=target,
    )
    return list(made)


def before_input(arguments: list[str]) -> str:
    return " ".join(arguments[: arguments.index("-i")])


def filters(arguments: list[str]) -> str:
    return arguments[arguments.index("-vf") + 1]


def asked(facts: MediaFacts | None = SOURCE, **changes: Any) -> Plan:
    return plan(facts, **changes)


@pytest.mark.parametrize(
    ("target", "options", "chain"),
    [
        (
            NVENC,
            "-init_hw_device cuda=gpu:1 -filter_hw_device gpu"
            " -hwaccel cuda -hwaccel_device gpu -hwaccel_output_format cuda -threads 2",
            "fps=25,format=nv12|cuda,hwupload,"
            "scale_cuda=w=128:h=96:format=nv12:passthrough=0,setsar=1",
        ),
        (
            QSV,
            "-qsv_device /dev/dri/renderD128 -hwaccel qsv -hwaccel_output_format qsv -threads 2",
            "fps=25,vpp_qsv=w=128:h=96:format=nv12,setsar=1",
        ),
        (
            VAAPI,
            "-vaapi_device /dev/dri/renderD129"
            " -hwaccel vaapi -hwaccel_output_format vaapi -threads 2",
            "fps=25,format=nv12|vaapi,hwupload,scale_vaapi=w=128:h=96:format=nv12,setsar=1",
        ),
    ],
    ids=lambda value: value.hardware if isinstance(value, Target) else "",
)
def test_source_that_the_gpu_decodes_is_scaled_and_encoded_there(
    target: Target, options: str, chain: str
) -> None:
    arguments = argv(target)

    assert f" {options} " in before_input(arguments)
    assert filters(arguments) == chain


@pytest.mark.parametrize("target", [NVENC, QSV, VAAPI], ids=lambda target: target.hardware)
def test_ten_bits_stay_ten_bits_on_the_gpu(target: Target) -> None:
    hdr = source(**DEEP, colour=PQ)

    chain = filters(argv(target, hdr, codec="hevc"))

    assert ":format=p010le" in chain
    assert "nv12" not in chain


def test_shape_of_pixels_is_kept_where_the_size_is(tmp_path: Path) -> None:
    anamorphic = source(width=720, height=576, sample_aspect=Fraction(64, 45))

    chain = filters(argv(NVENC, anamorphic, keeps_size=True))

    assert "scale_cuda=w=720:h=576:format=nv12:passthrough=0,setsar=64/45:max=" in chain


@pytest.mark.parametrize(
    ("facts", "changes"),
    [
        (None, {}),
        (source(codec="hevc"), OWN_SIZE),
        (
            source(codec="h264", pixel_format="yuv420p10le", bit_depth=10),
            OWN_SIZE | {"codec": "hevc"},
        ),
        (source(pixel_format="yuv422p"), OWN_SIZE),
        (source(pixel_format="yuvj420p", colour=Colour(range="pc")), OWN_SIZE),
        (source(colour=Colour(range="pc")), OWN_SIZE),
        (source(rotation_degrees=90), OWN_SIZE),
        (source(rotation_degrees=180), OWN_SIZE),
        (source(is_interlaced=True), OWN_SIZE),
        (source(width=641), OWN_SIZE),
        (source(height=481), OWN_SIZE),
        (source(width=4098), OWN_SIZE),
        (source(height=4098), OWN_SIZE),
        (source(width=142), OWN_SIZE),
        (source(height=142), OWN_SIZE),
        (source(width=1920, height=1080), {}),
        (source(**DEEP), OWN_SIZE | {"bit_depth": 8}),
        (
            source(**DEEP, colour=PQ),
            OWN_SIZE | {"codec": "hevc", "bit_depth": 10, "dynamic_range": "sdr"},
        ),
    ],
    ids=[
        "test source",
        "codec",
        "codec at its depth",
        "chroma",
        "full range format",
        "full range",
        "on its side",
        "upside down",
        "interlaced",
        "odd width",
        "odd height",
        "too wide",
        "too high",
        "too narrow",
        "too low",
        "bars",
        "depth",
        "tones",
    ],
)
@pytest.mark.parametrize("target", [NVENC, QSV, VAAPI], ids=lambda target: target.hardware)
def test_what_only_the_cpu_does_well_is_decoded_and_scaled_there(
    target: Target, facts: MediaFacts | None, changes: dict[str, Any]
) -> None:
    wanted = asked(facts, **changes)
    arguments = argv(target, facts, **changes)

    assert not stays_on_gpu(wanted, target)
    assert not {"-hwaccel", "-init_hw_device"} & set(arguments)
    assert not any(scaler in filters(arguments) for scaler in ("_cuda", "_qsv", "_vaapi"))


@pytest.mark.parametrize(
    "facts",
    [
        SOURCE,
        source(width=4096, height=4096),
        source(width=192, height=144),
        source(colour=Colour(range="tv")),
        source(**DEEP, colour=PQ),
        source(is_variable_rate=True),
    ],
    ids=["plain", "largest", "smallest", "limited range", "hdr", "uneven times"],
)
def test_plain_pictures_stay_on_the_gpu(facts: MediaFacts) -> None:
    assert stays_on_gpu(asked(facts, codec="hevc", fps=None, **OWN_SIZE), NVENC)


def test_nothing_goes_over_a_gpu_that_was_not_seen_to_decode_or_over_none() -> None:
    assert not stays_on_gpu(asked(), replace(NVENC, decodes=frozenset({HEVC_10})))
    assert not stays_on_gpu(asked(), replace(CPU, decodes=DECODES))


def test_stream_of_a_file_is_decoded_on_the_gpu_too() -> None:
    live: dict[str, Any] = {"live": True, "crf": None, "bits_per_second": 1_000_000}
    arguments = publish(
        plan(SOURCE, **live, output_mode="rtmp"),
        ffmpeg=Path("/bin/ffmpeg"),
        source="/in.mkv",
        rtmp_url="rtmp://host/app/name",
        threads=2,
        target=VAAPI,
    )

    assert "-hwaccel vaapi" in before_input(list(arguments))
    assert "scale_vaapi" in filters(list(arguments))
