"""What a job's parameters come to, and which contradict each other."""

from fractions import Fraction
from operator import attrgetter
from typing import Any

import pytest

from ffrtmp.domain.errors import InvalidRequest
from ffrtmp.domain.locations import check_input, check_output
from ffrtmp.domain.media import Engine, FrameSize
from ffrtmp.domain.parameters import JobParameters, required_capability, resolve
from ffrtmp.domain.placement import GSTREAMER_NEED
from ffrtmp.domain.scenario import parse_scenario
from ffrtmp.domain.spec import JobSpec
from ffrtmp.schemas import Parameters


def resolved(scenario: str = "h264", engine: Engine = Engine.AUTO, **given: Any) -> JobSpec:
    """The spec of a job, or what refuses it."""
    parameters: JobParameters = Parameters.model_validate(given).to_domain()
    return resolve(parse_scenario(scenario), parameters, engine)


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"crf": 20, "bitrate": "2M"}, "crf"),
        ({"crf": 52}, "crf"),
        ({"bitrate": "2M", "max_bitrate": "1M"}, "max_bitrate"),
        ({"two_pass": True}, "two_pass"),
        ({"two_pass": True, "bitrate": "1M", "hardware": "gpu"}, "two_pass"),
        ({"bit_depth": 9}, "bit_depth"),
        ({"container": "webm"}, "container"),
        ({"container": "mkv", "output": "/out/a.mp4"}, "container"),
        ({"output": "/out/a.mp4", "input": "/out/a.mp4"}, "output"),
        ({"output": "/out/a.mp4", "output_mode": "hls"}, "output"),
        ({"container": "mkv", "output_mode": "hls"}, "container"),
        ({"audio": "opus", "output_mode": "hls"}, "audio"),
        ({"loop": True, "input": "/in.mp4"}, "loop"),
        ({"input": "srt://host:1"}, "input"),
        ({"audio": "none", "audio_tracks": [1]}, "audio_tracks"),
        ({"audio": "copy", "audio_channels": "mono"}, "audio_channels"),
        ({"audio": "copy", "audio_bitrate": "64k"}, "audio_bitrate"),
        ({"renditions": [{"resolution": "720p"}], "bitrate": "1M"}, "bitrate"),
        ({"renditions": [{"resolution": "720p"}], "resolution": "720p"}, "renditions"),
        ({"renditions": [{"resolution": "720p"}, {"resolution": "720p"}]}, "renditions"),
        ({"renditions": [{"resolution": "720p", "name": "audio"}]}, "renditions"),
        ({"renditions": [{"resolution": "720p", "crf": 99}]}, "renditions.0.crf"),
    ],
)
def test_contradiction_is_refused_by_name(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        resolved(**given)

    assert refused.value.field == f"parameters.{field}"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"renditions": [{"resolution": "720p"}]}, "renditions"),
        ({"bit_depth": 10}, "bit_depth"),
        ({"vmaf": True}, "vmaf"),
        ({"verify": "decode"}, "verify"),
        ({"min_vmaf": 93}, "min_vmaf"),
        ({"audio": "opus"}, "audio"),
    ],
)
def test_stream_refuses_what_leaves_no_file(given: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        resolved(output_mode="rtmp", rtmp_url="rtmp://host/app/name", **given)

    assert refused.value.field == f"parameters.{field}"


def test_bitrate_of_av1_has_no_ceiling() -> None:
    with pytest.raises(InvalidRequest) as refused:
        resolved("av1", bitrate="1M", max_bitrate="2M")

    assert refused.value.field == "parameters.max_bitrate"


def test_two_passes_of_av1_are_refused() -> None:
    with pytest.raises(InvalidRequest) as refused:
        resolved("av1", two_pass=True, bitrate="1M")

    assert refused.value.field == "parameters.two_pass"


def test_gstreamer_is_refused_for_files() -> None:
    with pytest.raises(InvalidRequest) as refused:
        resolved(engine=Engine.GSTREAMER)

    assert refused.value.field == "engine"


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"hardware": "nvenc"}, "parameters.hardware"),
        ({"input": "https://host/in.mp4"}, "parameters.input"),
        ({"input": "rtmp://host/app/name"}, "parameters.input"),
        ({"input": "/in.mp4", "loop": True}, "parameters.loop"),
    ],
)
def test_gstreamer_is_refused_for_what_it_does_not_do(
    parameters: dict[str, Any], field: str
) -> None:
    stream = {"output_mode": "rtmp", "rtmp_url": "rtmp://host/app/name"}
    with pytest.raises(InvalidRequest) as refused:
        resolved(engine=Engine.GSTREAMER, **stream | parameters)

    assert refused.value.field == field


def test_stream_by_gstreamer_needs_a_node_that_has_it() -> None:
    spec = resolved(engine=Engine.GSTREAMER, output_mode="rtmp", rtmp_url="rtmp://host/app/name")

    assert required_capability(spec) == GSTREAMER_NEED


def test_ladder_scenario_makes_an_hls_folder_of_capped_renditions() -> None:
    spec = resolved("abr-720p-h264")

    assert (spec.output_mode, spec.makes_folder, spec.may_upscale) == ("hls", True, False)
    assert [rendition.name for rendition in spec.renditions] == ["720p", "480p", "360p"]
    assert all(r.crf == 23 and r.max_bits_per_second for r in spec.renditions)


@pytest.mark.parametrize(
    ("given", "where", "value"),
    [
        ({"input": "/in.mp4"}, "input", "/in.mp4"),
        ({"output": "/out/a.mkv"}, "output", "/out/a.mkv"),
        ({"container": "mkv"}, "container", "mkv"),
        ({"preset": "slow"}, "preset", "slow"),
        ({"fit": "inside"}, "fit", "inside"),
        ({"upscale": False}, "may_upscale", False),
        ({"bit_depth": 10}, "bit_depth", 10),
        ({"dynamic_range": "sdr"}, "dynamic_range", "sdr"),
        ({"duration": "2m"}, "duration_seconds", 120.0),
        ({"audio": "opus"}, "sound.codec", "opus"),
        ({"audio_tracks": [2, 1]}, "sound.tracks", (2, 1)),
        ({"audio_channels": "mono"}, "sound.channels", "mono"),
        ({"audio_bitrate": "96k"}, "sound.bits_per_second", 96_000),
        ({"subtitles": "none"}, "subtitles", "none"),
        ({"hardware": "qsv"}, "hardware", "qsv"),
        ({"overwrite": True}, "overwrite", True),
        ({"verify": "decode"}, "verify", "decode"),
        ({"ssim": True}, "quality.metrics", ("ssim",)),
        ({"resource_limits": {"timeout_sec": 9}}, "limits.timeout_seconds", 9.0),
        ({"resource_limits": {"max_memory_mb": 512}}, "limits.max_memory_mb", 512),
    ],
)
def test_parameter_is_what_a_node_is_told(given: dict[str, Any], where: str, value: object) -> None:
    assert attrgetter(where)(resolved(**given)) == value


@pytest.mark.parametrize(
    ("given", "where", "value"),
    [
        ({"crf": 30}, "crf", 30),
        ({"bitrate": "2M"}, "bits_per_second", 2_000_000),
        ({"max_bitrate": "2M"}, "max_bits_per_second", 2_000_000),
        ({"fps": "29.97"}, "fps", Fraction(30000, 1001)),
        ({"resolution": "720p"}, "size", FrameSize(width=1280, height=720)),
    ],
)
def test_parameter_of_the_picture_is_what_a_node_is_told(
    given: dict[str, Any], where: str, value: object
) -> None:
    (rendition,) = resolved(**given).renditions

    assert getattr(rendition, where) == value


def test_quality_gate_measures_vmaf() -> None:
    assert resolved(min_vmaf=93.5).quality.metrics == ("vmaf",)


def test_two_passes_run_on_the_cpu() -> None:
    assert resolved(two_pass=True, bitrate="1M").hardware == "cpu"


@pytest.mark.parametrize(
    "location",
    [
        *("concat:a|b", "subfile:,,x", "data:,x", "gopher://h/x", "ftp://h/x", "pipe:0", "fd:0"),
        *("unix:/x", "tee:x", "crypto:x", "file:/etc/passwd", "-version", "http:x"),
        *("http://", "https://user:secret@host/x", "s3://Bucket/x", "s3://bucket", "srt://host"),
        *("srt://host:1?passphrase=secret", "rtmp://host/a", "a\nb", "http://h:99999/x"),
    ],
)
def test_input_by_other_protocols_or_with_secrets_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_input(location)


@pytest.mark.parametrize(
    "location",
    [
        *("/a/b.mp4", "lavfi", "http://h/x?token=1", "https://h:8/x", "s3://bucket-1/a/b.mp4"),
        *("rtmp://h/a/b", "srt://h:9000", "srt://h:9000?streamid=live"),
    ],
)
def test_input_by_a_known_protocol_is_taken(location: str) -> None:
    assert check_input(location) == location


@pytest.mark.parametrize("location", ["../a.mp4", "s3://bucket/../a.mp4", "rtmp://h/a/b", "/"])
def test_output_elsewhere_is_refused(location: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        check_output(location)
