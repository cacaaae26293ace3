"""The command lines of hardware encoders, as values; tests/media tries them on ffmpeg."""

from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.media import Codec, Hardware
from tests.media.specs import command, plan
from workers.errors import UnsupportedSpec
from workers.ffmpeg.streaming import publish
from workers.ffmpeg.target import CPU, Target

NVENC = Target(hardware=Hardware.NVENC, address="1")
QSV = Target(hardware=Hardware.QSV, address="/dev/dri/renderD128")
VAAPI = Target(hardware=Hardware.VAAPI, address="/dev/dri/renderD129")
LIVE: dict[str, Any] = {"live": True, "crf": None, "bits_per_second": 1_000_000}


def argv(target: Target, *, source: str | None = "/in.mkv", **changes: Any) -> list[str]:
    """The command line of a small job with the given changes."""
    destination = Path("/out/.tmp-1")
    return list(command(source, destination=destination, threads=2, target=target, **changes))


def video(target: Target, **changes: Any) -> str:
    """The options of the video encoder alone."""
    arguments = argv(target, **changes)
    begin = arguments.index("-c:v")
    return " ".join(arguments[begin : arguments.index("-map", begin)])


def after(arguments: list[str], option: str) -> str:
    """The value of an option."""
    return arguments[arguments.index(option) + 1]


@pytest.mark.parametrize(
    ("target", "changes", "expected"),
    [
        (
            NVENC,
            {"codec": "h264", "preset": "medium", "crf": 23},
            "-c:v h264_nvenc -gpu 1 -preset p4 -rc vbr -cq 23 -b:v 0",
        ),
        (
            NVENC,
            {"codec": "hevc", "crf": None, "bits_per_second": 5_000_000},
            "-c:v hevc_nvenc -gpu 1 -preset p1 -rc vbr -b:v 5000000 -tag:v hvc1",
        ),
        (
            NVENC,
            LIVE | {"codec": "av1", "preset": "veryfast"},
            "-c:v av1_nvenc -gpu 1 -preset p2 -tune ll -zerolatency 1 -delay 0 -bf 0 -forced-idr 1"
            " -rc cbr -b:v 1000000 -maxrate 1000000 -bufsize 2000000 -g 50 -flags +cgop",
        ),
        (
            QSV,
            {"codec": "h264", "preset": "medium", "crf": 23},
            "-c:v h264_qsv -preset medium -global_quality 23",
        ),
        (
            QSV,
            {"codec": "hevc", "crf": None, "bits_per_second": 5_000_000},
            "-c:v hevc_qsv -preset veryfast -b:v 5000000 -tag:v hvc1",
        ),
        (
            QSV,
            LIVE | {"codec": "av1", "preset": "veryfast"},
            "-c:v av1_qsv -preset faster -async_depth 1 -bf 0 -forced_idr 1"
            " -b:v 1000000 -maxrate 1000000 -bufsize 2000000 -g 50 -flags +cgop",
        ),
        (
            VAAPI,
            {"codec": "h264", "preset": "medium", "crf": 23},
            "-c:v h264_vaapi -rc_mode CQP -qp 23",
        ),
        (
            VAAPI,
            {"codec": "hevc", "crf": None, "bits_per_second": 5_000_000},
            "-c:v hevc_vaapi -rc_mode VBR -b:v 5000000 -tag:v hvc1",
        ),
        (
            VAAPI,
            LIVE | {"codec": "vp9", "preset": "veryfast"},
            "-c:v vp9_vaapi -async_depth 1 -bf 0"
            " -rc_mode CBR -b:v 1000000 -maxrate 1000000 -bufsize 2000000 -g 50 -flags +cgop",
        ),
    ],
)
def test_encoder_is_told_device_speed_rate_and_latency(
    target: Target, changes: dict[str, Any], expected: str
) -> None:
    assert video(target, **changes) == expected


@pytest.mark.parametrize(
    ("target", "codec", "expected"),
    [
        (CPU, "h264", "-crf 30 -maxrate 1000000 -bufsize 2000000"),
        (CPU, "vp9", "-crf 30 -b:v 1000000 -maxrate 1000000 -bufsize 2000000"),
        (NVENC, "hevc", "-rc vbr -cq 30 -b:v 0 -maxrate 1000000 -bufsize 2000000"),
        (QSV, "h264", "-global_quality 30 -b:v 750000 -maxrate 1000000 -bufsize 2000000"),
        (
            VAAPI,
            "av1",
            "-rc_mode QVBR -global_quality 120 -b:v 750000 -maxrate 1000000 -bufsize 2000000",
        ),
    ],
)
def test_quality_is_capped_by_the_ceiling_asked_for(
    target: Target, codec: str, expected: str
) -> None:
    said = video(target, codec=codec, crf=30, max_bits_per_second=1_000_000)

    assert f" {expected} " in f"{said} "


@pytest.mark.parametrize(
    ("target", "codec", "crf", "expected"),
    [
        (NVENC, "h264", 0, "-cq 1"),
        (NVENC, "hevc", 51, "-cq 51"),
        (NVENC, "av1", 35, "-cq 35"),
        (NVENC, "av1", 63, "-cq 51"),
        (QSV, "h264", 0, "-global_quality 1"),
        (QSV, "hevc", 51, "-global_quality 51"),
        (QSV, "av1", 0, "-global_quality 1"),
        (QSV, "av1", 35, "-global_quality 28"),
        (QSV, "vp9", 63, "-global_quality 51"),
        (VAAPI, "h264", 0, "-qp 1"),
        (VAAPI, "hevc", 51, "-qp 51"),
        (VAAPI, "av1", 0, "-global_quality 1"),
        (VAAPI, "av1", 35, "-global_quality 140"),
        (VAAPI, "vp9", 63, "-global_quality 252"),
    ],
)
def test_quality_is_asked_on_the_encoders_own_scale(
    target: Target, codec: str, crf: int, expected: str
) -> None:
    assert f" {expected} " in video(target, codec=codec, crf=crf) + " "


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        (NVENC, ["p1", "p2", "p3", "p4", "p6"]),
        (QSV, ["veryfast", "faster", "fast", "medium", "slow"]),
    ],
)
def test_presets_go_from_fast_to_slow(target: Target, expected: list[str]) -> None:
    names = ["ultrafast", "veryfast", "fast", "medium", "slow"]

    assert [after(argv(target, preset=name), "-preset") for name in names] == expected


def test_device_is_named_before_the_inputs_or_to_the_encoder() -> None:
    for target, option in ((QSV, "-qsv_device"), (VAAPI, "-vaapi_device")):
        arguments = argv(target)
        assert after(arguments, option) == target.address
        assert arguments.index(option) < arguments.index("-i")
    arguments = argv(NVENC)

    assert after(arguments, "-gpu") == "1"
    assert arguments.index("-gpu") > arguments.index("-c:v")
    assert not {"-gpu", "-qsv_device", "-vaapi_device"} & set(argv(CPU))


def test_frames_are_scaled_in_software_and_handed_over_last() -> None:
    assert after(argv(CPU), "-vf").endswith(",setsar=1,format=yuv420p")
    assert after(argv(NVENC), "-vf").endswith(",setsar=1,format=nv12")
    assert after(argv(QSV), "-vf").endswith(",setsar=1,format=nv12")
    assert after(argv(VAAPI), "-vf").endswith(",setsar=1,format=nv12,hwupload")


@pytest.mark.parametrize("hardware", ["auto", "gpu", "nvenc", "cpu"])
def test_target_decides_whatever_the_spec_names(hardware: str) -> None:
    assert after(argv(QSV, hardware=hardware), "-c:v") == "h264_qsv"
    assert after(argv(CPU, hardware=hardware), "-c:v") == "libx264"


def test_codec_that_the_hardware_has_no_encoder_for_is_refused() -> None:
    with pytest.raises(UnsupportedSpec, match="nvenc has no encoder for vp9"):
        argv(NVENC, codec="vp9")


@pytest.mark.parametrize("hardware", [Hardware.AUTO, Hardware.GPU])
@pytest.mark.parametrize("codec", Codec)
def test_target_that_is_no_one_kind_of_hardware_is_refused(
    hardware: Hardware, codec: Codec
) -> None:
    with pytest.raises(UnsupportedSpec):
        argv(Target(hardware=hardware, address="0"), codec=codec)


def test_live_key_frames_go_by_time_where_the_rate_is_the_sources() -> None:
    live = argv(NVENC, live=True, fps=None)

    assert after(live, "-force_key_frames") == "expr:gte(t,n_forced*2)"
    assert after(live, "-forced-idr") == "1"


def test_stream_is_published_from_the_device() -> None:
    arguments = list(
        publish(
            plan(**LIVE, output_mode="rtmp"),
            ffmpeg=Path("/bin/ffmpeg"),
            source=None,
            rtmp_url="rtmp://host/app/name",
            threads=2,
            target=VAAPI,
        )
    )

    assert after(arguments, "-vaapi_device") == VAAPI.address
    assert after(arguments, "-c:v") == "h264_vaapi"
    assert arguments[-1] == "rtmp://host/app/name"
