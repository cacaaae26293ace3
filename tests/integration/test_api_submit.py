"""What a submit may not ask for."""

from typing import Any

import pytest

from tests.integration import test_api
from tests.integration.test_api import Api, refusal

api = test_api.api

STREAM = {"output_mode": "rtmp", "rtmp_url": "rtmp://h/a/b"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "scenario"),
        ({"scenario": "nonsense"}, "scenario"),
        ({"scenario": "1080p-720p"}, "scenario"),
        ({"scenario": "720p", "queue": "fast"}, "queue"),
        ({"scenario": "720p", "queue": "LIVE"}, "queue"),
        ({"scenario": "720p", "priority": "urgent"}, "priority"),
        ({"scenario": "720p", "colour": "red"}, "colour"),
        ({"scenario": "720p", "max_retries": True}, "max_retries"),
        ({"scenario": "720p", "max_retries": -1}, "max_retries"),
        ({"scenario": "720p", "engine": "gstreamer"}, "engine"),
        ({"scenario": "720p", "parameters": {"codec": "divx"}}, "parameters.codec"),
        ({"scenario": "720p-h264", "parameters": {"codec": "hevc"}}, "parameters.codec"),
        ({"scenario": "720p30", "parameters": {"fps": 25}}, "parameters.fps"),
        ({"scenario": "720p", "parameters": {"resolution": "1920x1080"}}, "parameters.resolution"),
        ({"scenario": "test", "parameters": {"resolution": "641x360"}}, "parameters.resolution"),
        (
            {"scenario": "test", "parameters": {"resolution": "640x360,drawtext=textfile=/x"}},
            "parameters.resolution",
        ),
        ({"scenario": "720p", "parameters": {"fps": "30[x];movie=/etc/passwd"}}, "parameters.fps"),
        ({"scenario": "720p", "parameters": {"bitrate": "fast"}}, "parameters.bitrate"),
        ({"scenario": "720p", "parameters": {"bitrate": "2M", "crf": 20}}, "parameters.crf"),
        ({"scenario": "720p", "parameters": {"crf": 52}}, "parameters.crf"),
        ({"scenario": "720p", "parameters": {"preset": "placebo"}}, "parameters.preset"),
        ({"scenario": "720p", "parameters": {"duration": -1}}, "parameters.duration"),
        ({"scenario": "720p", "parameters": {"input": "-version"}}, "parameters.input"),
        ({"scenario": "720p", "parameters": {"input": "concat:a|b"}}, "parameters.input"),
        ({"scenario": "720p", "parameters": {"input": ""}}, "parameters.input"),
        ({"scenario": "720p", "parameters": {"output": "-hwaccels"}}, "parameters.output"),
        ({"scenario": "720p", "parameters": {"output": "../x.mp4"}}, "parameters.output"),
        ({"scenario": "720p", "parameters": {"output": "x.avi"}}, "parameters.output"),
        ({"scenario": "720p-h264", "parameters": {"output": "x.webm"}}, "parameters.output"),
        ({"scenario": "720p", "parameters": {"output_mode": "rtmp"}}, "parameters.rtmp_url"),
        ({"scenario": "720p", "parameters": {"output_mode": "dash"}}, "parameters.output_mode"),
        ({"scenario": "720p-vp9", "parameters": {"output_mode": "hls"}}, "parameters.codec"),
        ({"scenario": "abr-h264", "parameters": {"bitrate": "1M"}}, "parameters.bitrate"),
        ({"scenario": "720p", "parameters": {"two_pass": True}}, "parameters.two_pass"),
        ({"scenario": "720p", "parameters": {"min_vmaf": 101}}, "parameters.min_vmaf"),
        ({"scenario": "720p", "parameters": {"bit_depth": 12}}, "parameters.bit_depth"),
        (
            {"scenario": "720p", "parameters": {"resource_limits": {"max_memory_mb": 63}}},
            "parameters.resource_limits.max_memory_mb",
        ),
        ({"scenario": "720p", "parameters": {"input": "s3://bucket"}}, "parameters.input"),
        ({"scenario": "720p", "parameters": {"input": "srt://host:9000"}}, "parameters.input"),
        ({"scenario": "720p", "parameters": {"output": "s3:///a.mp4"}}, "parameters.output"),
        (
            {"scenario": "720p", "parameters": {"audio": "copy", "audio_channels": "stereo"}},
            "parameters.audio_channels",
        ),
        ({"scenario": "720p", "parameters": {"rtmp_url": "rtmp://h/a/b"}}, "parameters.rtmp_url"),
        ({"scenario": "720p", "parameters": STREAM | {"output": "x.mp4"}}, "parameters.output"),
        ({"scenario": "720p-h265", "parameters": STREAM}, "parameters.codec"),
        ({"scenario": "720p", "parameters": STREAM | {"audio": "opus"}}, "parameters.audio"),
        *(
            ({"scenario": "720p", "parameters": STREAM | {"rtmp_url": url}}, "parameters.rtmp_url")
            for url in (
                "http://h/a/b",
                "rtmp://h",
                "rtmp://h/a",
                "rtmp:///a/b",
                "rtmp://user:secret@h/a/b",
                "rtmp://h/a/b live=1",
                "-rtmp://h/a/b",
                "rtmp://h/a/\nb",
            )
        ),
        ({"scenario": "720p", "parameters": {"audio": "mp3"}}, "parameters.audio"),
        ({"scenario": "720p", "parameters": {"hardware": "tpu"}}, "parameters.hardware"),
    ],
)
def test_bad_submit_is_refused_by_field_and_nothing_is_stored(
    api: Api, body: dict[str, Any], field: str
) -> None:
    assert refusal(api.post("/jobs", body)) == (422, field)
    assert api.http.get("/jobs").json() == {"jobs": [], "count": 0, "next": None}
