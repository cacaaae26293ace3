"""Inputs over a network: see tests/media/ffmpeg_samples.py."""

# ruff: noqa: E501

from ffrtmp.domain.retry import FailureClass as Class
from tests.media.sample import Sample

NETWORK: tuple[Sample, ...] = (
    (
        "refused",
        145,
        Class.CONNECTION,
        "Connection to tcp://127.0.0.1:1 failed: Connection refused",
        (
            "[tcp @ 0x5635133af980] [error] Connection to tcp://127.0.0.1:1 failed: Connection refused\n"
            "[in#0 @ 0x5635133abf00] [error] Error opening input: Connection refused\n"
            "[error] Error opening input file http://127.0.0.1:1/x.mp4.\n"
            "[fatal] Error opening input files: Connection refused\n"
        ),
    ),
    (
        "dns",
        251,
        Class.CONNECTION,
        "Failed to resolve hostname no.such.host.invalid: Name or service not known",
        (
            "[tcp @ 0x558f41494980] [error] Failed to resolve hostname no.such.host.invalid: Name or service not known\n"
            "[in#0 @ 0x558f41490f00] [error] Error opening input: Input/output error\n"
            "[error] Error opening input file http://no.such.host.invalid/x.mp4.\n"
            "[fatal] Error opening input files: Input/output error\n"
        ),
    ),
    (
        "white",
        234,
        Class.INPUT_REFUSED,
        "Protocol 'http' not on whitelist 'file'!",
        (
            "[http @ 0x559e6ab27c40] [error] Protocol 'http' not on whitelist 'file'!\n"
            "[in#0 @ 0x559e6ab26fc0] [error] Error opening input: Invalid argument\n"
            "[error] Error opening input file http://127.0.0.1:1/x.mp4.\n"
            "[fatal] Error opening input files: Invalid argument\n"
        ),
    ),
    (
        "http401",
        8,
        Class.INPUT_REFUSED,
        "Error opening input: Server returned 401 Unauthorized (authorization failed)",
        (
            "[in#0 @ 0x55b7067a8080] [error] Error opening input: Server returned 401 Unauthorized (authorization failed)\n"
            "[error] Error opening input file http://127.0.0.1:8765/401.mp4.\n"
            "[fatal] Error opening input files: Server returned 401 Unauthorized (authorization failed)\n"
        ),
    ),
    (
        "http403",
        8,
        Class.INPUT_REFUSED,
        "HTTP error 403 Forbidden",
        (
            "[http @ 0x55578cdbdf40] [warning] HTTP error 403 Forbidden\n"
            "[in#0 @ 0x55578cdbd080] [error] Error opening input: Server returned 403 Forbidden (access denied)\n"
            "[error] Error opening input file http://127.0.0.1:8765/403.mp4.\n"
            "[fatal] Error opening input files: Server returned 403 Forbidden (access denied)\n"
        ),
    ),
    (
        "http404",
        8,
        Class.INPUT_MISSING,
        "HTTP error 404 Not Found",
        (
            "[http @ 0x55eea9eb1f40] [warning] HTTP error 404 Not Found\n"
            "[in#0 @ 0x55eea9eb1080] [error] Error opening input: Server returned 404 Not Found\n"
            "[error] Error opening input file http://127.0.0.1:8765/404.mp4.\n"
            "[fatal] Error opening input files: Server returned 404 Not Found\n"
        ),
    ),
    (
        "http410",
        8,
        Class.INPUT_MISSING,
        "HTTP error 410 Gone",
        (
            "[http @ 0x55ec63fdcf40] [warning] HTTP error 410 Gone\n"
            "[in#0 @ 0x55ec63fdc080] [error] Error opening input: Server returned 4XX Client Error, but not one of 40{0,1,3,4}\n"
            "[error] Error opening input file http://127.0.0.1:8765/410.mp4.\n"
            "[fatal] Error opening input files: Server returned 4XX Client Error, but not one of 40{0,1,3,4}\n"
        ),
    ),
    (
        "http503",
        8,
        Class.CONNECTION,
        "HTTP error 503 Service Unavailable",
        (
            "[http @ 0x5596eb892f40] [warning] HTTP error 503 Service Unavailable\n"
            "[in#0 @ 0x5596eb892080] [error] Error opening input: Server returned 5XX Server Error reply\n"
            "[error] Error opening input file http://127.0.0.1:8765/503.mp4.\n"
            "[fatal] Error opening input files: Server returned 5XX Server Error reply\n"
        ),
    ),
    (
        "tls",
        251,
        Class.CONNECTION,
        "error:0A00010B:SSL routines::wrong version number",
        (
            "[tls @ 0x55f39067e980] [error] error:0A00010B:SSL routines::wrong version number\n"
            "[in#0 @ 0x55f39067af00] [error] Error opening input: Input/output error\n"
            "[error] Error opening input file https://127.0.0.1:8765/404.mp4.\n"
            "[fatal] Error opening input files: Input/output error\n"
        ),
    ),
    (
        "reset",
        0,
        Class.CONNECTION,
        "Stream ends prematurely at 300000, should be 1055736",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'http://127.0.0.1:8765/1.mp4':\n"
            "[http @ 0x557911e25e40] [error] Stream ends prematurely at 300000, should be 1055736\n"
            "[in#0/mov,mp4,m4a,3gp,3g2,mj2 @ 0x557911e253c0] [warning] Packet corrupt (stream = 0, dts = 13824).\n"
            "[h264 @ 0x557911f99000] [error] Invalid NAL unit size (7516 > 6345).\n"
            "[h264 @ 0x557911e8ee00] [error] Error splitting the input into NAL units.\n"
            "[vist#0:0/h264 @ 0x557911e46940] [dec:h264 @ 0x557911e91b00] [error] Decoding error: Invalid data found when processing input\n"
        ),
    ),
    (
        "http400",
        8,
        Class.INPUT_REFUSED,
        "HTTP error 400 Bad Request",
        (
            "[http @ 0x562e0a5ef1c0] [warning] HTTP error 400 Bad Request\n"
            "[in#0 @ 0x562e0a5ee600] [error] Error opening input: Server returned 400 Bad Request\n"
            "[error] Error opening input file http://127.0.0.1:8765/400.mp4.\n"
            "[fatal] Error opening input files: Server returned 400 Bad Request\n"
        ),
    ),
    (
        "http429",
        8,
        Class.CONNECTION,
        "HTTP error 429 Too Many Requests",
        (
            "[http @ 0x55b8e5eb41c0] [warning] HTTP error 429 Too Many Requests\n"
            "[in#0 @ 0x55b8e5eb3600] [error] Error opening input: Server returned 429 Too Many Requests\n"
            "[error] Error opening input file http://127.0.0.1:8765/429.mp4.\n"
            "[fatal] Error opening input files: Server returned 429 Too Many Requests\n"
        ),
    ),
    (
        "http500",
        8,
        Class.CONNECTION,
        "HTTP error 500 Internal Server Error",
        (
            "[http @ 0x555b19fa91c0] [warning] HTTP error 500 Internal Server Error\n"
            "[in#0 @ 0x555b19fa8600] [error] Error opening input: Server returned 5XX Server Error reply\n"
            "[error] Error opening input file http://127.0.0.1:8765/500.mp4.\n"
            "[fatal] Error opening input files: Server returned 5XX Server Error reply\n"
        ),
    ),
    (
        "http502",
        8,
        Class.CONNECTION,
        "HTTP error 502 Bad Gateway",
        (
            "[http @ 0x5646743501c0] [warning] HTTP error 502 Bad Gateway\n"
            "[in#0 @ 0x56467434f600] [error] Error opening input: Server returned 5XX Server Error reply\n"
            "[error] Error opening input file http://127.0.0.1:8765/502.mp4.\n"
            "[fatal] Error opening input files: Server returned 5XX Server Error reply\n"
        ),
    ),
    (
        "redirects",
        251,
        Class.CONNECTION,
        "Error opening input: Input/output error",
        (
            "[in#0 @ 0x55c7ca0e9600] [error] Error opening input: Input/output error\n"
            "[error] Error opening input file http://127.0.0.1:8765/loop.mp4.\n"
            "[fatal] Error opening input files: Input/output error\n"
        ),
    ),
    (
        "reset_at_once",
        152,
        Class.CONNECTION,
        "Error reading HTTP response: Connection reset by peer",
        (
            "[http @ 0x555b0ba6e1c0] [error] Error reading HTTP response: Connection reset by peer\n"
            "[in#0 @ 0x555b0ba6d600] [error] Error opening input: Connection reset by peer\n"
            "[error] Error opening input file http://127.0.0.1:8765/reset.mp4.\n"
            "[fatal] Error opening input files: Connection reset by peer\n"
        ),
    ),
    (
        "reset_midway",
        183,
        Class.CONNECTION,
        "Stream ends prematurely at 200000, should be 1055736",
        (
            "[http @ 0x55ba65bef1c0] [error] Stream ends prematurely at 200000, should be 1055736\n"
            "[in#0 @ 0x55ba65bee940] [error] moov atom not found\n"
            "[in#0 @ 0x55ba65bee600] [error] Error opening input: Invalid data found when processing input\n"
            "[error] Error opening input file http://127.0.0.1:8765/rst.mp4.\n"
            "[fatal] Error opening input files: Invalid data found when processing input\n"
        ),
    ),
    (
        "read_timeout",
        146,
        Class.CONNECTION,
        "Error reading HTTP response: Connection timed out",
        (
            "[http @ 0x55b0cb769280] [error] Error reading HTTP response: Connection timed out\n"
            "[in#0 @ 0x55b0cb768600] [error] Error opening input: Connection timed out\n"
            "[error] Error opening input file http://127.0.0.1:8765/slow.mp4.\n"
            "[fatal] Error opening input files: Connection timed out\n"
        ),
    ),
    (
        "bad_port",
        234,
        Class.INPUT_REFUSED,
        "Port missing in uri",
        (
            "[tcp @ 0x5649404b9000] [error] Port missing in uri\n"
            "[in#0 @ 0x5649404b5600] [error] Error opening input: Invalid argument\n"
            "[error] Error opening input file http://127.0.0.1:99999/x.mp4.\n"
            "[fatal] Error opening input files: Invalid argument\n"
        ),
    ),
    (
        "rtmp_refused",
        145,
        Class.CONNECTION,
        "Connection to tcp://127.0.0.1:1?tcp_nodelay=0 failed: Connection refused",
        (
            "[info] Input #0, lavfi, from 'testsrc2=duration=0.5':\n"
            "[tcp @ 0x55a31f245000] [error] Connection to tcp://127.0.0.1:1?tcp_nodelay=0 failed: Connection refused\n"
            "[rtmp @ 0x55a31f24e7c0] [error] Cannot open connection tcp://127.0.0.1:1?tcp_nodelay=0\n"
            "[out#0/flv @ 0x55a31f246700] [fatal] Error opening output rtmp://127.0.0.1:1/live/x: Connection refused\n"
            "[error] Error opening output file rtmp://127.0.0.1:1/live/x.\n"
            "[fatal] Error opening output files: Connection refused\n"
        ),
    ),
    (
        "unknown_protocol",
        8,
        Class.INPUT_REFUSED,
        "Error opening input: Protocol not found",
        (
            "[in#0 @ 0x56416e6e6500] [error] Error opening input: Protocol not found\n"
            "[in#0 @ 0x56416e6e6500] [error] Did you mean file:nosuch://x?\n"
            "[error] Error opening input file nosuch://x.\n"
            "[fatal] Error opening input files: Protocol not found\n"
        ),
    ),
    (
        "hls",
        183,
        Class.INPUT_REFUSED,
        "Protocol 'http' not on whitelist 'file'!",
        (
            "[http @ 0x565526d28240] [error] Protocol 'http' not on whitelist 'file'!\n"
            "[in#0 @ 0x565526d23900] [warning] Failed to open segment 0 of playlist 0\n"
            "[in#0 @ 0x565526d23900] [warning] Segment 0 of playlist 0 failed too many times, skipping\n"
            "[in#0 @ 0x565526d23900] [error] Error when loading first segment 'http://127.0.0.1:1/x.ts'\n"
            "[in#0 @ 0x565526d235c0] [error] Error opening input: Invalid data found when processing input\n"
            "[error] Error opening input file file:list.m3u8.\n"
            "[fatal] Error opening input files: Invalid data found when processing input\n"
        ),
    ),
)
