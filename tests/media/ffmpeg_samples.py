"""Failed runs of ffmpeg 9.0.2: (what was done, exit code, class, the line, the output).

Exit codes and lines are as observed; of each output only some of the lines are kept.
"""

from ffrtmp.domain.retry import FailureClass as Class

SAMPLES: tuple[tuple[str, int, Class, str, str], ...] = (
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
            "[in#0 @ 0x560af0934280] [warning] Format mov,mp4,m4a,3gp,3g2,mj2 detected only with low score of 1, misdetection possible!\n"  # noqa: E501
            "[in#0 @ 0x560af0934280] [error] moov atom not found\n"
            "[in#0 @ 0x560af0933f00] [error] Error opening input: Invalid data found when processing input\n"  # noqa: E501
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
            "[in#0 @ 0x5649b61dff00] [error] Error opening input: Invalid data found when processing input\n"  # noqa: E501
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
            "[in#0 @ 0x56105f5c2280] [warning] Format mov,mp4,m4a,3gp,3g2,mj2 detected only with low score of 1, misdetection possible!\n"  # noqa: E501
            "[in#0 @ 0x56105f5c2280] [error] moov atom not found\n"
            "[in#0 @ 0x56105f5c1f00] [error] Error opening input: Invalid data found when processing input\n"  # noqa: E501
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
        "outdir",
        254,
        Class.OUTPUT_REFUSED,
        "Error opening output file:/nodir/o.mp4: No such file or directory",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "[out#0/mp4 @ 0x55c782601c80] [fatal] Error opening output file:/nodir/o.mp4: No such file or directory\n"  # noqa: E501
            "[error] Error opening output file file:/nodir/o.mp4.\n"
            "[fatal] Error opening output files: No such file or directory\n"
        ),
    ),
    (
        "outisdir",
        235,
        Class.OUTPUT_REFUSED,
        "Error opening output file:/tmp/ff/: Is a directory",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "[out#0/mp4 @ 0x55cfd9540c80] [fatal] Error opening output file:/tmp/ff/: Is a directory\n"  # noqa: E501
            "[error] Error opening output file file:/tmp/ff/.\n"
            "[fatal] Error opening output files: Is a directory\n"
        ),
    ),
    (
        "erofs",
        226,
        Class.OUTPUT_REFUSED,
        "Error opening output file:/tmp/ff/rom/o.mp4: Read-only file system",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "[out#0/mp4 @ 0x55d4a62f2c80] [fatal] Error opening output file:/tmp/ff/rom/o.mp4: Read-only file system\n"  # noqa: E501
            "[error] Error opening output file file:/tmp/ff/rom/o.mp4.\n"
            "[fatal] Error opening output files: Read-only file system\n"
        ),
    ),
    (
        "unkenc",
        8,
        Class.UNSUPPORTED,
        "Unknown encoder 'libnope'",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "[vost#0:0 @ 0x562fb1b5ab00] [fatal] Unknown encoder 'libnope'\n"
            "[vost#0:0 @ 0x562fb1b5ab00] [fatal] Error selecting an encoder\n"
            "[error] Error opening output file file:/tmp/ff/o.mp4.\n"
            "[fatal] Error opening output files: Encoder not found\n"
        ),
    ),
    (
        "refused",
        145,
        Class.CONNECTION,
        "Connection to tcp://127.0.0.1:1 failed: Connection refused",
        (
            "[tcp @ 0x5635133af980] [error] Connection to tcp://127.0.0.1:1 failed: Connection refused\n"  # noqa: E501
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
            "[tcp @ 0x558f41494980] [error] Failed to resolve hostname no.such.host.invalid: Name or service not known\n"  # noqa: E501
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
        "pcm",
        234,
        Class.UNSUPPORTED,
        "Only VP8 or VP9 or AV1 video and Vorbis or Opus audio and WebVTT subtitles are supported for WebM.",  # noqa: E501
        (
            "[info] Input #0, lavfi, from 'sine=duration=1':\n"
            "[webm @ 0x55ed89155380] [error] Only VP8 or VP9 or AV1 video and Vorbis or Opus audio and WebVTT subtitles are supported for WebM.\n"  # noqa: E501
            "[out#0/webm @ 0x55ed8915a240] [error] Could not write header (incorrect codec parameters ?): Invalid argument\n"  # noqa: E501
            "[af#0:1 @ 0x55ed8911b240] [error] Error sending frames to consumers: Invalid argument\n"  # noqa: E501
            "[af#0:1 @ 0x55ed8911b240] [error] Terminating thread with return code -22 (Invalid argument)\n"  # noqa: E501
            "[out#0/webm @ 0x55ed8915a240] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"  # noqa: E501
        ),
    ),
    (
        "badopt",
        8,
        Class.UNSUPPORTED,
        "Unrecognized option 'nosuchopt'.",
        (
            "[error] Unrecognized option 'nosuchopt'.\n"
            "[fatal] Error splitting the argument list: Option not found\n"
        ),
    ),
    (
        "badpreset",
        234,
        Class.UNSUPPORTED,
        "Error setting preset/tune zzz/(null).",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "x264 [error]: invalid preset 'zzz'\n"
            "[libx264 @ 0x55ea7ea0c340] [error] Error setting preset/tune zzz/(null).\n"
            "[vost#0:0/libx264 @ 0x55ea7ead35c0] [enc:libx264 @ 0x55ea7e9cb880] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"  # noqa: E501
            "[vost#0:0/libx264 @ 0x55ea7ead35c0] [error] Terminating thread with return code -22 (Invalid argument)\n"  # noqa: E501
            "[out#0/mp4 @ 0x55ea7ea0bb80] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"  # noqa: E501
        ),
    ),
    (
        "nvenc",
        255,
        Class.HARDWARE,
        "Cannot load libcuda.so.1",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "[h264_nvenc @ 0x556eadfbca40] [error] Cannot load libcuda.so.1\n"
            "[vost#0:0/h264_nvenc @ 0x556eadfb7d40] [enc:h264_nvenc @ 0x556eadf7c900] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"  # noqa: E501
            "[vf#0:0 @ 0x556eadfbd5c0] [error] Error sending frames to consumers: Operation not permitted\n"  # noqa: E501
            "[vost#0:0/h264_nvenc @ 0x556eadfb7d40] [error] Terminating thread with return code -22 (Invalid argument)\n"  # noqa: E501
            "[out#0/mp4 @ 0x556eae0c4240] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"  # noqa: E501
        ),
    ),
    (
        "qsv",
        171,
        Class.HARDWARE,
        "Error creating a MFX session: -9.",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "[h264_qsv @ 0x55ca79087a40] [error] Error creating a MFX session: -9.\n"
            "[vost#0:0/h264_qsv @ 0x55ca79082d40] [enc:h264_qsv @ 0x55ca79047900] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"  # noqa: E501
            "[vf#0:0 @ 0x55ca790885c0] [error] Error sending frames to consumers: Unknown error occurred\n"  # noqa: E501
            "[vf#0:0 @ 0x55ca790885c0] [error] Terminating thread with return code -1313558101 (Unknown error occurred)\n"  # noqa: E501
            "[out#0/mp4 @ 0x55ca7918f240] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"  # noqa: E501
        ),
    ),
    (
        "full",
        228,
        Class.NO_SPACE,
        "Could not write header (incorrect codec parameters ?): No space left on device",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "[out#0/mp4 @ 0x55aa6dd62c80] [error] Could not write header (incorrect codec parameters ?): No space left on device\n"  # noqa: E501
            "[vf#0:0 @ 0x55aa6dd06ac0] [error] Error sending frames to consumers: No space left on device\n"  # noqa: E501
            "[vf#0:0 @ 0x55aa6dd06ac0] [error] Task finished with error code: -28 (No space left on device)\n"  # noqa: E501
            "[vf#0:0 @ 0x55aa6dd06ac0] [error] Terminating thread with return code -28 (No space left on device)\n"  # noqa: E501
            "[out#0/mp4 @ 0x55aa6dd62c80] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"  # noqa: E501
        ),
    ),
    (
        "nospace",
        228,
        Class.NO_SPACE,
        "Error submitting a packet to the muxer: No space left on device",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "[vost#0:0/libx264 @ 0x5604284e61c0] [error] Error submitting a packet to the muxer: No space left on device\n"  # noqa: E501
            "[out#0/mp4 @ 0x5604284e8bc0] [error] Error muxing a packet\n"
            "[out#0/mp4 @ 0x5604284e8bc0] [error] Task finished with error code: -28 (No space left on device)\n"  # noqa: E501
            "[out#0/mp4 @ 0x5604284e8bc0] [error] Error writing trailer: No space left on device\n"
            "[out#0/mp4 @ 0x5604284e8bc0] [error] Error closing file: No space left on device\n"
        ),
    ),
    (
        "nospacemkv",
        228,
        Class.NO_SPACE,
        "Error submitting a packet to the muxer: No space left on device",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "[vost#0:0/libx264 @ 0x55cff44a21c0] [error] Error submitting a packet to the muxer: No space left on device\n"  # noqa: E501
            "[out#0/matroska @ 0x55cff44a4bc0] [error] Error muxing a packet\n"
            "[out#0/matroska @ 0x55cff44a4bc0] [error] Task finished with error code: -28 (No space left on device)\n"  # noqa: E501
            "[out#0/matroska @ 0x55cff44a4bc0] [error] Error writing trailer: No space left on device\n"  # noqa: E501
            "[out#0/matroska @ 0x55cff44a4bc0] [error] Error closing file: No space left on device\n"  # noqa: E501
        ),
    ),
    (
        "http401",
        8,
        Class.INPUT_REFUSED,
        "Error opening input: Server returned 401 Unauthorized (authorization failed)",
        (
            "[in#0 @ 0x55b7067a8080] [error] Error opening input: Server returned 401 Unauthorized (authorization failed)\n"  # noqa: E501
            "[error] Error opening input file http://127.0.0.1:8765/401.mp4.\n"
            "[fatal] Error opening input files: Server returned 401 Unauthorized (authorization failed)\n"  # noqa: E501
        ),
    ),
    (
        "http403",
        8,
        Class.INPUT_REFUSED,
        "HTTP error 403 Forbidden",
        (
            "[http @ 0x55578cdbdf40] [warning] HTTP error 403 Forbidden\n"
            "[in#0 @ 0x55578cdbd080] [error] Error opening input: Server returned 403 Forbidden (access denied)\n"  # noqa: E501
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
            "[in#0 @ 0x55ec63fdc080] [error] Error opening input: Server returned 4XX Client Error, but not one of 40{0,1,3,4}\n"  # noqa: E501
            "[error] Error opening input file http://127.0.0.1:8765/410.mp4.\n"
            "[fatal] Error opening input files: Server returned 4XX Client Error, but not one of 40{0,1,3,4}\n"  # noqa: E501
        ),
    ),
    (
        "http503",
        8,
        Class.CONNECTION,
        "HTTP error 503 Service Unavailable",
        (
            "[http @ 0x5596eb892f40] [warning] HTTP error 503 Service Unavailable\n"
            "[in#0 @ 0x5596eb892080] [error] Error opening input: Server returned 5XX Server Error reply\n"  # noqa: E501
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
        "filt",
        234,
        Class.UNSUPPORTED,
        "Error parsing a filter description around:",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"  # noqa: E501
            "[AVFilterGraph @ 0x5563428d3840] [error] No option name near '1'\n"
            "[AVFilterGraph @ 0x5563428d3840] [error] Error parsing a filter description around: \n"
            "[AVFilterGraph @ 0x5563428d3840] [error] Error parsing filterchain 'nosuch=1' around: \n"  # noqa: E501
            "[error] Error opening output file file:o.mp4.\n"
            "[fatal] Error opening output files: Invalid argument\n"
        ),
    ),
    (
        "big",
        234,
        Class.UNSUPPORTED,
        "Picture size 30000x30000 is invalid",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=64x64:duration=0.1':\n"
            "[libx264 @ 0x559dd478d740] [IMGUTILS @ 0x7f6592b1a150] [error] Picture size 30000x30000 is invalid\n"  # noqa: E501
            "[vost#0:0/libx264 @ 0x559dd478cbc0] [enc:libx264 @ 0x559dd478d680] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"  # noqa: E501
            "[vf#0:0 @ 0x559dd478e800] [error] Error sending frames to consumers: Invalid argument\n"  # noqa: E501
            "[vost#0:0/libx264 @ 0x559dd478cbc0] [error] Terminating thread with return code -22 (Invalid argument)\n"  # noqa: E501
            "[out#0/mp4 @ 0x559dd478be80] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"  # noqa: E501
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
            "[vist#0:0/h264 @ 0x562e6876c180] [dec:h264 @ 0x562e68796940] [fatal] Decode error rate 1 exceeds maximum 0.666667\n"  # noqa: E501
            "[vist#0:0/h264 @ 0x562e6876c180] [dec:h264 @ 0x562e68796940] [error] Terminating thread with return code -1145393733 (Error number -1145393733 occurred)\n"  # noqa: E501
            "[out#0/mp4 @ 0x562e68950ec0] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"  # noqa: E501
        ),
    ),
    (
        "fastcut",
        0,
        Class.BAD_INPUT,
        "stream 0, offset 0x7acb8: partial file",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/tmp/ff/fastcut.mp4':\n"
            "[in#0/mov,mp4,m4a,3gp,3g2,mj2 @ 0x55dd69684280] [warning] Packet corrupt (stream = 0, dts = 25088).\n"  # noqa: E501
            "[h264 @ 0x55dd697fc9c0] [error] Invalid NAL unit size (6169 > 5356).\n"
            "[h264 @ 0x55dd697fc9c0] [error] missing picture in access unit with size 5360\n"
            "[in#0/mov,mp4,m4a,3gp,3g2,mj2 @ 0x55dd69684280] [error] stream 0, offset 0x7acb8: partial file\n"  # noqa: E501
            "[h264 @ 0x55dd697f9a80] [error] Error splitting the input into NAL units.\n"
            "[vist#0:0/h264 @ 0x55dd69697200] [dec:h264 @ 0x55dd696f4dc0] [error] Decoding error: Invalid data found when processing input\n"  # noqa: E501
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
        "reset",
        0,
        Class.CONNECTION,
        "Stream ends prematurely at 300000, should be 1055736",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'http://127.0.0.1:8765/1.mp4':\n"
            "[http @ 0x557911e25e40] [error] Stream ends prematurely at 300000, should be 1055736\n"
            "[in#0/mov,mp4,m4a,3gp,3g2,mj2 @ 0x557911e253c0] [warning] Packet corrupt (stream = 0, dts = 13824).\n"  # noqa: E501
            "[h264 @ 0x557911f99000] [error] Invalid NAL unit size (7516 > 6345).\n"
            "[h264 @ 0x557911e8ee00] [error] Error splitting the input into NAL units.\n"
            "[vist#0:0/h264 @ 0x557911e46940] [dec:h264 @ 0x557911e91b00] [error] Decoding error: Invalid data found when processing input\n"  # noqa: E501
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
        "perm_out",
        243,
        Class.OUTPUT_REFUSED,
        "Error opening output file:/tmp/ff/ro/zz.mp4: Permission denied",
        (
            "[out#0/mp4 @ 0x5612c658dcc0] [fatal] Error opening output file:/tmp/ff/ro/zz.mp4: Permission denied\n"  # noqa: E501
            "[error] Error opening output file file:/tmp/ff/ro/zz.mp4.\n"
            "[fatal] Error opening output files: Permission denied\n"
        ),
    ),
    (
        "vaapi_device",
        234,
        Class.HARDWARE,
        "No VA display found for device /dev/dri/renderD128.",
        (
            "[VAAPI @ 0x55f70d2faec0] [error] No VA display found for device /dev/dri/renderD128.\n"
            "[error] Device creation failed: -22.\n"
            "[error] Failed to set value '/dev/dri/renderD128' for option 'vaapi_device': Invalid argument\n"  # noqa: E501
            "[fatal] Error parsing global options: Invalid argument\n"
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
            "[vf#0:0 @ 0x55af9b3c1ec0] [warning] No filtered frames for output stream, trying to initialize anyway.\n"  # noqa: E501
            "[out#0/mp4 @ 0x55af9b3dea80] [fatal] Output file is empty, nothing was encoded(check -ss / -t / -frames parameters if used)\n"  # noqa: E501
        ),
    ),
)
