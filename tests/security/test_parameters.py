"""Parameters that would reach ffmpeg as options, filters or other protocols: never accepted."""

from collections.abc import Iterator
from typing import Any

import pytest

from ffrtmp.client import MasterRefused
from tests.security.target import Target

LOCATIONS = (
    *("concat:a|b", "concatf:/list", "subfile:,,start,0,end,9,,:/etc/passwd", "data:,x"),
    *("gopher://h/x", "gophers://h/x", "ftp://h/x", "sftp://h/x", "smb://h/x", "ipfs://x"),
    *("pipe:0", "pipe:", "fd:0", "fd:", "unix:/run/x", "tee:x", "crypto:x", "cache:x", "async:x"),
    *("lavfi:x", "md5:x", "prompeg:x", "hls+http://h/x", "mmsh://h/x", "icecast://h/x"),
    *("tcp://h:1", "tls://h:1", "udp://h:1", "udplite://h:1", "sctp://h:1", "rtp://h:1"),
    *("rtsp://h/x", "rtmpt://h/a/b", "rtmpe://h/a/b", "zmq:tcp://h:1", "amqp://h/x", "bluray:/x"),
    *("dvd:/x", "libssh://h/x", "file:/etc/passwd", "file:///etc/passwd", "FILE:/etc/passwd"),
    *("http:/etc/passwd", "https:x", "s3:x"),
)
"""Protocols of libavformat that no job may name, and spellings of those that it may."""
OUTPUTS = (
    *("-hwaccels", "-.mp4", "../x.mp4", "/out/../etc/cron.d/x.mp4", "a/../../x.mp4"),
    *("/out/a.mp4\n-i", "/out/\x00.mp4", "/out/x.sh", "/out/.mp4/", "pipe:1", "tee:a|b.mp4"),
    *("ftp://h/x.mp4", "rtmp://h/a/x.mp4", "unix:/run/x.mp4", "file:/x.mp4", "[f=mp4]/x.mp4:y"),
    *("http://u:secret@h/x.mp4", "s3://bucket/../x.mp4", ""),
)
STREAMS = (
    *("http://h/a/b", "-rtmp://h/a/b", "rtmp://u:secret@h/a/b", "rtmp://:secret@h/a/b"),
    *("rtmp://h/a/b live=1", "rtmp://h/a/b\tlive=1", "rtmp://h/a/\nb", "rtmp://h", "rtmp:///a/b"),
    *("rtmpt://h/a/b", "rtmpe://h/a/b", "tee:rtmp://h/a/b|/tmp/x", "/x.flv", "pipe:1"),
    *("rtmp://h/a/b|x y", "rtmp://h:99999/a/b", "rtmp://h:x/a/b", ""),
)
VALUES: dict[str, tuple[object, ...]] = {
    "codec": ("-f", "libx264", "copy", "h264 -vf movie=x", "png"),
    "container": ("-f", "tee", "image2", "mp4|/tmp/x", "segment", "hls"),
    "preset": ("-f", "fast:stats=/tmp/x", "fast -report", "placebo"),
    "bitrate": ("-1", "1M:passlogfile=/tmp/x", "1M -vstats_file /tmp/x", "1e9", 1),
    "max_bitrate": ("1M -vstats_file /tmp/x", "-1M"),
    "audio_bitrate": ("64k,amovie=/etc/passwd", "-64k"),
    "crf": ("23:qpfile=/etc/passwd", -1, 23.5, True),
    "resolution": (
        *("640x360,drawtext=textfile=/etc/passwd", "640x360[o];movie=/etc/passwd[o]"),
        *("iw:ih", "-640x360", "640x360:eval=frame", "640x360\n"),
    ),
    "fps": (
        *("30[x];movie=/etc/passwd", "30,subtitles=/etc/passwd", "source_fps", "-30"),
        *("30:round=up", "1/0", "30\n"),
    ),
    "duration": ("10 -f tee", "-1", "1e999", "now"),
    "fit": ("pad,lut3d=/etc/passwd", "-f"),
    "audio": ("amovie=/etc/passwd", "-f", "aac:x"),
    "audio_channels": ("stereo,amovie=x", "-1"),
    "audio_tracks": (["0:v"], ["1 -map 0:d"], [-1], [0], "1"),
    "subtitles": ("/etc/passwd", "subtitles=/etc/passwd", "-f"),
    "hardware": ("cpu -init_hw_device opencl", "/dev/dri/card0", "-f"),
    "dynamic_range": ("sdr,lut3d=/etc/passwd", "-f"),
    "bit_depth": ("10:x", 9),
    "verify": ("decode -f tee /tmp/x", "-f"),
    "output_mode": ("tee", "-f", "segment"),
    "renditions": (
        [{"resolution": "360p", "name": "../x"}],
        [{"resolution": "360p", "name": "-f"}],
        [{"resolution": "360p", "name": "a/b"}],
        [{"resolution": "360p", "vf": "movie=/etc/passwd"}],
    ),
}
UNKNOWN = (
    *("vf", "af", "filter", "filter_complex", "lavfi", "args", "options", "ffmpeg", "extra"),
    *("x264_params", "x265_params", "svtav1_params", "codec_params", "encoder_options"),
    *("subtitle_file", "font", "fontfile", "textfile", "lut", "lut3d", "stats", "stats_file"),
    *("passlogfile", "vstats_file", "progress", "report", "dump_attachment", "attach"),
    *("protocol_whitelist", "format", "demuxer", "headers", "cookies", "http_proxy", "env"),
    *("metadata", "map", "thumbnail", "watermark", "overlay", "model_path", "log_path"),
)


def attacks() -> Iterator[tuple[dict[str, Any], str]]:
    """Parameters, and the one that they are refused for."""
    for location in (*LOCATIONS, "-version", "-i", "a\x00b", "a\nb", "http://u:secret@h/x", ""):
        yield {"input": location}, "input"
    for location in OUTPUTS:
        yield {"output": location}, "output"
    for url in STREAMS:
        yield {"rtmp_url": url, "output_mode": "rtmp"}, "rtmp_url"
    for field, values in VALUES.items():
        for value in values:
            yield {field: value}, field
    for field in UNKNOWN:
        yield {field: "/etc/passwd"}, field


@pytest.mark.parametrize("field", sorted({field for _, field in attacks()}))
def test_what_is_no_value_of_its_kind_is_refused_by_name(target: Target, field: str) -> None:
    tried = [parameters for parameters, attacked in attacks() if attacked == field]

    answers = [(parameters, target.refusal(**parameters)) for parameters in tried]

    assert [
        (parameters, status, named)
        for parameters, (status, named) in answers
        if status != 422 or not (named or "").startswith(f"parameters.{field}")
    ] == []


@pytest.mark.parametrize("scenario", ["-f", "720p-h264,movie=/etc/passwd", "720p -i x", "../x", ""])
def test_scenario_that_is_none_is_refused(target: Target, scenario: str) -> None:
    with pytest.raises(MasterRefused) as refused:
        target.master.client.submit({"scenario": scenario})

    assert (refused.value.status, refused.value.field) == (422, "scenario")


@pytest.mark.parametrize(
    "parameters",
    [
        {"input": "http://user:the-password@host/x.mp4"},
        {"output": "http://user:the-password@host/x.mp4"},
        {"rtmp_url": "rtmp://user:the-password@host/app/name", "output_mode": "rtmp"},
    ],
)
def test_refusal_of_a_password_does_not_repeat_it(
    target: Target, parameters: dict[str, str]
) -> None:
    with pytest.raises(MasterRefused) as refused:
        target.master.client.submit({"scenario": "test", "parameters": parameters})

    assert refused.value.status == 422
    assert "the-password" not in str(refused.value)
    assert "the-password" not in target.master.text()


def test_nothing_of_what_was_refused_is_stored(target: Target) -> None:
    known = {job.id for job in target.master.client.jobs(limit=1000).jobs}

    for parameters, _ in list(attacks())[::20]:
        target.refusal(**parameters)

    assert {job.id for job in target.master.client.jobs(limit=1000).jobs} == known
