"""Streams whose server goes, refuses, or is another's."""
# ruff: noqa: E501

from ffrtmp.domain.retry import FailureClass as Class
from tests.media.sample import Sample

STREAMS: tuple[Sample, ...] = (
    (
        "stream_server_killed",
        224,
        Class.CONNECTION,
        "Error submitting a packet to the muxer: Broken pipe",
        (
            "[vost#0:0/libx264 @ 0x55709ec3c680] [error] Error submitting a packet to the muxer: Broken pipe\n"
            "[out#0/flv @ 0x55709ec3b8c0] [error] Error muxing a packet\n"
            "[out#0/flv @ 0x55709ec3b8c0] [error] Task finished with error code: -32 (Broken pipe)\n"
            "[flv @ 0x55709ec3ba40] [warning] Failed to update header with correct duration.\n"
            "[out#0/flv @ 0x55709ec3b8c0] [error] Error writing trailer: Broken pipe\n"
            "[out#0/flv @ 0x55709ec3b8c0] [error] Error closing file: Broken pipe\n"
            "[info] Conversion failed!\n"
        ),
    ),
    (
        "stream_application_unknown",
        251,
        Class.CONNECTION,
        "Error opening output rtmp://127.0.0.1:19350/nope/a: Input/output error",
        (
            "[out#0/flv @ 0x5565ae3a78c0] [fatal] Error opening output rtmp://127.0.0.1:19350/nope/a: Input/output error\n"
            "[error] Error opening output file rtmp://127.0.0.1:19350/nope/a.\n"
            "[fatal] Error opening output files: Input/output error\n"
        ),
    ),
    (
        "stream_name_taken",
        255,
        Class.CONNECTION,
        "Server error: Already publishing",
        (
            "[rtmp @ 0x5570c4ae4100] [error] Server error: Already publishing\n"
            "[out#0/flv @ 0x5570c4add8c0] [fatal] Error opening output rtmp://127.0.0.1:19350/live/a: Operation not permitted\n"
            "[error] Error opening output file rtmp://127.0.0.1:19350/live/a.\n"
            "[fatal] Error opening output files: Operation not permitted\n"
        ),
    ),
    (
        "stream_not_there",
        255,
        Class.CONNECTION,
        "Server error: No such stream",
        (
            "[rtmp @ 0x55faddf7b280] [error] Server error: No such stream\n"
            "[in#0 @ 0x55faddf7a680] [error] Error opening input: Operation not permitted\n"
            "[error] Error opening input file rtmp://127.0.0.1:19350/live/s.\n"
            "[fatal] Error opening input files: Operation not permitted\n"
        ),
    ),
)
