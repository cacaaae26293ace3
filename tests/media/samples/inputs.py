"""Local inputs: see tests/media/ffmpeg_samples.py."""

# ruff: noqa: E501

from ffrtmp.domain.retry import FailureClass as Class
from tests.media.sample import Sample

INPUTS: tuple[Sample, ...] = (
    (
        "missing",
        254,
        Class.INPUT_MISSING,
        "Error opening input: No such file or directory",
        (
            "[in#0 @ 0x563024162f00] [error] Error opening input: No such file or directory\n"
            "[error] Error opening input file file:/nope.mp4.\n"
            "[fatal] Error opening input files: No such file or directory\n"
        ),
    ),
    (
        "notmedia",
        183,
        Class.BAD_INPUT,
        "moov atom not found",
        (
            "[in#0 @ 0x560af0934280] [warning] Format mov,mp4,m4a,3gp,3g2,mj2 detected only with low score of 1, misdetection possible!\n"
            "[in#0 @ 0x560af0934280] [error] moov atom not found\n"
            "[in#0 @ 0x560af0933f00] [error] Error opening input: Invalid data found when processing input\n"
            "[error] Error opening input file file:/tmp/ff/notmedia.mp4.\n"
            "[fatal] Error opening input files: Invalid data found when processing input\n"
        ),
    ),
    (
        "nomoov",
        183,
        Class.BAD_INPUT,
        "moov atom not found",
        (
            "[in#0 @ 0x5649b61e0280] [error] moov atom not found\n"
            "[in#0 @ 0x5649b61dff00] [error] Error opening input: Invalid data found when processing input\n"
            "[error] Error opening input file file:/tmp/ff/cut.mp4.\n"
            "[fatal] Error opening input files: Invalid data found when processing input\n"
        ),
    ),
    (
        "empty",
        183,
        Class.BAD_INPUT,
        "moov atom not found",
        (
            "[in#0 @ 0x56105f5c2280] [warning] Format mov,mp4,m4a,3gp,3g2,mj2 detected only with low score of 1, misdetection possible!\n"
            "[in#0 @ 0x56105f5c2280] [error] moov atom not found\n"
            "[in#0 @ 0x56105f5c1f00] [error] Error opening input: Invalid data found when processing input\n"
            "[error] Error opening input file file:/tmp/ff/empty.mp4.\n"
            "[fatal] Error opening input files: Invalid data found when processing input\n"
        ),
    ),
    (
        "novideo",
        234,
        Class.BAD_INPUT,
        "Stream map '' matches no streams.",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/tmp/ff/audio.mp4':\n"
            "[fatal] Stream map '' matches no streams.\n"
            "[error] Failed to set value '0:V:0' for option 'map': Invalid argument\n"
            "[error] Error parsing options for output file file:/tmp/ff/o.mp4.\n"
            "[fatal] Error opening output files: Invalid argument\n"
        ),
    ),
    (
        "dir",
        235,
        Class.INPUT_REFUSED,
        "Error opening input: Is a directory",
        (
            "[in#0 @ 0x55d41e94cf00] [error] Error opening input: Is a directory\n"
            "[error] Error opening input file file:/tmp/ff.\n"
            "[fatal] Error opening input files: Is a directory\n"
        ),
    ),
    (
        "zeros",
        69,
        Class.BAD_INPUT,
        "Decode error rate 1 exceeds maximum 0.666667",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:zeros.mp4':\n"
            "[h264 @ 0x562e68767a80] [error] missing picture in access unit with size 105222\n"
            "[h264 @ 0x562e68767a80] [error] no frame!\n"
            "[aac @ 0x562e6876e800] [error] channel element 0.0 is not allocated\n"
            "[vist#0:0/h264 @ 0x562e6876c180] [dec:h264 @ 0x562e68796940] [fatal] Decode error rate 1 exceeds maximum 0.666667\n"
            "[vist#0:0/h264 @ 0x562e6876c180] [dec:h264 @ 0x562e68796940] [error] Terminating thread with return code -1145393733 (Error number -1145393733 occurred)\n"
            "[out#0/mp4 @ 0x562e68950ec0] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"
        ),
    ),
    (
        "fastcut",
        0,
        Class.BAD_INPUT,
        "stream 0, offset 0x7acb8: partial file",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/tmp/ff/fastcut.mp4':\n"
            "[in#0/mov,mp4,m4a,3gp,3g2,mj2 @ 0x55dd69684280] [warning] Packet corrupt (stream = 0, dts = 25088).\n"
            "[h264 @ 0x55dd697fc9c0] [error] Invalid NAL unit size (6169 > 5356).\n"
            "[h264 @ 0x55dd697fc9c0] [error] missing picture in access unit with size 5360\n"
            "[in#0/mov,mp4,m4a,3gp,3g2,mj2 @ 0x55dd69684280] [error] stream 0, offset 0x7acb8: partial file\n"
            "[h264 @ 0x55dd697f9a80] [error] Error splitting the input into NAL units.\n"
            "[vist#0:0/h264 @ 0x55dd69697200] [dec:h264 @ 0x55dd696f4dc0] [error] Decoding error: Invalid data found when processing input\n"
        ),
    ),
    (
        "cutmkv",
        0,
        Class.BAD_INPUT,
        "File ended prematurely",
        (
            "[info] Input #0, matroska,webm, from 'file:/tmp/ff/cut.mkv':\n"
            "[in#0/matroska,webm @ 0x561ba2910280] [error] File ended prematurely\n"
        ),
    ),
    (
        "perm_in",
        243,
        Class.INPUT_REFUSED,
        "Error opening input: Permission denied",
        (
            "[in#0 @ 0x555c4c358ec0] [error] Error opening input: Permission denied\n"
            "[error] Error opening input file file:/tmp/ff/noperm.mp4.\n"
            "[fatal] Error opening input files: Permission denied\n"
        ),
    ),
    (
        "not_a_directory",
        236,
        Class.INPUT_MISSING,
        "Error opening input: Not a directory",
        (
            "[in#0 @ 0x55b159890d40] [error] Error opening input: Not a directory\n"
            "[error] Error opening input file file:/tmp/ff/s_dir/x.mp4.\n"
            "[fatal] Error opening input files: Not a directory\n"
        ),
    ),
    (
        "nothing_encoded",
        234,
        Class.BAD_INPUT,
        "Output file is empty, nothing was encoded(check -ss / -t / -frames parameters if used)",
        (
            "[vf#0:0 @ 0x55af9b3c1ec0] [warning] No filtered frames for output stream, trying to initialize anyway.\n"
            "[out#0/mp4 @ 0x55af9b3dea80] [fatal] Output file is empty, nothing was encoded(check -ss / -t / -frames parameters if used)\n"
        ),
    ),
    (
        "middle_mp4",
        0,
        Class.BAD_INPUT,
        "Invalid NAL unit size (-1435388648 > 3037).",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:middle.mp4':\n"
            "[h264 @ 0x55da17e19f00] [error] Invalid NAL unit size (-1435388648 > 3037).\n"
            "[h264 @ 0x55da17e19f00] [error] missing picture in access unit with size 3041\n"
            "[h264 @ 0x55da17e19f00] [error] Invalid NAL unit size (-2054103176 > 3744).\n"
            "[h264 @ 0x55da17e19f00] [error] missing picture in access unit with size 3748\n"
            "[h264 @ 0x55da17e19f00] [error] Invalid NAL unit size (723339433 > 3260).\n"
            "[h264 @ 0x55da17e19f00] [error] missing picture in access unit with size 3264\n"
            "[h264 @ 0x55da17e19f00] [error] Invalid NAL unit size (892188142 > 3731).\n"
        ),
    ),
    (
        "middle_mkv",
        0,
        Class.BAD_INPUT,
        "error while decoding MB 13 11",
        (
            "[info] Input #0, matroska,webm, from 'file:middle.mkv':\n"
            "[in#0/matroska,webm @ 0x55c8f072c900] [error] 0x00 at pos 134992 (0x20f50) invalid as first byte of an EBML number\n"
            "[h264 @ 0x55c8f07dbcc0] [error] negative number of zero coeffs at 13 11\n"
            "[h264 @ 0x55c8f07dbcc0] [error] error while decoding MB 13 11\n"
            "[vist#0:0/h264 @ 0x55c8f07539c0] [dec:h264 @ 0x55c8f0756040] [warning] corrupt decoded frame\n"
        ),
    ),
    (
        "cut_webm",
        0,
        Class.BAD_INPUT,
        "File ended prematurely",
        (
            "[info] Input #0, matroska,webm, from 'file:cut.webm':\n"
            "[in#0/matroska,webm @ 0x5633fead5900] [error] File ended prematurely\n"
        ),
    ),
    (
        "noise",
        183,
        Class.BAD_INPUT,
        "Error opening input: Invalid data found when processing input",
        (
            "[in#0 @ 0x55e94fe9d840] [warning] Format matroska,webm detected only with low score of 1, misdetection possible!\n"
            "[in#0 @ 0x55e94fe9d840] [error] Length 5 indicated by an EBML number's first byte 0x0a at pos 0 (0x0) exceeds max length 4.\n"
            "[in#0 @ 0x55e94fe9d840] [error] EBML header parsing failed\n"
            "[in#0 @ 0x55e94fe9d500] [error] Error opening input: Invalid data found when processing input\n"
            "[error] Error opening input file file:noise.mkv.\n"
            "[fatal] Error opening input files: Invalid data found when processing input\n"
        ),
    ),
    (
        "loop_link",
        216,
        Class.INPUT_REFUSED,
        "Error opening input: Too many levels of symbolic links",
        (
            "[in#0 @ 0x563ede5b0500] [error] Error opening input: Too many levels of symbolic links\n"
            "[error] Error opening input file file:loop.mp4.\n"
            "[fatal] Error opening input files: Too many levels of symbolic links\n"
        ),
    ),
)
