"""Parameters that would reach ffmpeg as options, filters or other protocols: never accepted."""

from typing import Any

import pytest

from tests.security.target import Target


@pytest.mark.parametrize(
    ("parameters", "field"),
    [
        ({"output": "-hwaccels"}, "output"),
        ({"input": "-version"}, "input"),
        ({"codec": "-f"}, "codec"),
        ({"resolution": "640x360,drawtext=textfile=/etc/passwd"}, "resolution"),
        ({"fps": "30[x];movie=/etc/passwd"}, "fps"),
        ({"preset": "fast:stats=/tmp/x"}, "preset"),
        ({"bitrate": "1M:passlogfile=/tmp/x"}, "bitrate"),
        ({"max_bitrate": "1M -vstats_file /tmp/x"}, "max_bitrate"),
        ({"audio_bitrate": "64k,amovie=/etc/passwd"}, "audio_bitrate"),
        ({"audio_tracks": ["0:v"]}, "audio_tracks.0"),
        ({"container": "tee"}, "container"),
        ({"fit": "pad,lut3d=/etc/passwd"}, "fit"),
        ({"vf": "subtitles=/etc/passwd"}, "vf"),
        ({"output": "/out/../etc/cron.d/x.mp4"}, "output"),
        ({"rtmp_url": "http://host/app/name", "output_mode": "rtmp"}, "rtmp_url"),
        ({"rtmp_url": "rtmp://u:secret@host/app/name", "output_mode": "rtmp"}, "rtmp_url"),
        ({"rtmp_url": "rtmp://host/app/name live=1", "output_mode": "rtmp"}, "rtmp_url"),
        *(
            ({"input": location}, "input")
            for location in (
                *("concat:a|b", "subfile:,,start,0,,:/etc/passwd", "data:,x", "gopher://h/x"),
                *("ftp://h/x", "pipe:0", "fd:0", "unix:/run/x", "tee:x", "crypto:x", "lavfi:x"),
            )
        ),
    ],
)
def test_what_is_no_value_of_its_kind_is_refused_by_name(
    target: Target, parameters: dict[str, Any], field: str
) -> None:
    assert target.refusal(**parameters) == (422, f"parameters.{field}")
