"""Encoders and filters: see tests/media/ffmpeg_samples.py."""

# ruff: noqa: E501

from ffrtmp.domain.retry import FailureClass as Class
from tests.media.sample import Sample

ENCODERS: tuple[Sample, ...] = (
    (
        "unkenc",
        8,
        Class.UNSUPPORTED,
        "Unknown encoder 'libnope'",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "[vost#0:0 @ 0x562fb1b5ab00] [fatal] Unknown encoder 'libnope'\n"
            "[vost#0:0 @ 0x562fb1b5ab00] [fatal] Error selecting an encoder\n"
            "[error] Error opening output file file:/tmp/ff/o.mp4.\n"
            "[fatal] Error opening output files: Encoder not found\n"
        ),
    ),
    (
        "pcm",
        234,
        Class.UNSUPPORTED,
        "Only VP8 or VP9 or AV1 video and Vorbis or Opus audio and WebVTT subtitles are supported for WebM.",
        (
            "[info] Input #0, lavfi, from 'sine=duration=1':\n"
            "[webm @ 0x55ed89155380] [error] Only VP8 or VP9 or AV1 video and Vorbis or Opus audio and WebVTT subtitles are supported for WebM.\n"
            "[out#0/webm @ 0x55ed8915a240] [error] Could not write header (incorrect codec parameters ?): Invalid argument\n"
            "[af#0:1 @ 0x55ed8911b240] [error] Error sending frames to consumers: Invalid argument\n"
            "[af#0:1 @ 0x55ed8911b240] [error] Terminating thread with return code -22 (Invalid argument)\n"
            "[out#0/webm @ 0x55ed8915a240] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"
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
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "x264 [error]: invalid preset 'zzz'\n"
            "[libx264 @ 0x55ea7ea0c340] [error] Error setting preset/tune zzz/(null).\n"
            "[vost#0:0/libx264 @ 0x55ea7ead35c0] [enc:libx264 @ 0x55ea7e9cb880] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"
            "[vost#0:0/libx264 @ 0x55ea7ead35c0] [error] Terminating thread with return code -22 (Invalid argument)\n"
            "[out#0/mp4 @ 0x55ea7ea0bb80] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"
        ),
    ),
    (
        "filt",
        234,
        Class.UNSUPPORTED,
        "Error parsing a filter description around:",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "[AVFilterGraph @ 0x5563428d3840] [error] No option name near '1'\n"
            "[AVFilterGraph @ 0x5563428d3840] [error] Error parsing a filter description around: \n"
            "[AVFilterGraph @ 0x5563428d3840] [error] Error parsing filterchain 'nosuch=1' around: \n"
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
            "[libx264 @ 0x559dd478d740] [IMGUTILS @ 0x7f6592b1a150] [error] Picture size 30000x30000 is invalid\n"
            "[vost#0:0/libx264 @ 0x559dd478cbc0] [enc:libx264 @ 0x559dd478d680] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"
            "[vf#0:0 @ 0x559dd478e800] [error] Error sending frames to consumers: Invalid argument\n"
            "[vost#0:0/libx264 @ 0x559dd478cbc0] [error] Terminating thread with return code -22 (Invalid argument)\n"
            "[out#0/mp4 @ 0x559dd478be80] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"
        ),
    ),
    (
        "unknown_filter",
        8,
        Class.UNSUPPORTED,
        "No such filter: 'nosuchfilter'",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[AVFilterGraph @ 0x55b869ca2f80] [error] No such filter: 'nosuchfilter'\n"
            "[error] Error opening output file file:o.mp4.\n"
            "[fatal] Error opening output files: Filter not found\n"
        ),
    ),
    (
        "bad_scale",
        234,
        Class.UNSUPPORTED,
        "Cannot parse expression for width: 'x'",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[Parsed_scale_0 @ 0x560e8fe30280] [Eval @ 0x7ffd04235790] [error] Undefined constant or missing '(' in 'x'\n"
            "[Parsed_scale_0 @ 0x560e8fe30280] [error] Cannot parse expression for width: 'x'\n"
            "[AVFilterGraph @ 0x560e8fe2ff80] [error] Error initializing filters\n"
            "[error] Error opening output file file:o.mp4.\n"
            "[fatal] Error opening output files: Invalid argument\n"
        ),
    ),
    (
        "crop_too_big",
        234,
        Class.UNSUPPORTED,
        "Invalid too big or non positive size for width '9998' or height '9998'",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[Parsed_crop_0 @ 0x7f9938001b40] [error] Invalid too big or non positive size for width '9998' or height '9998'\n"
            "[Parsed_crop_0 @ 0x7f9938001b40] [error] Failed to configure input pad on Parsed_crop_0\n"
            "[vf#0:0 @ 0x55c1db31cb80] [error] Error reinitializing filters!\n"
            "[vf#0:0 @ 0x55c1db31cb80] [error] Task finished with error code: -22 (Invalid argument)\n"
            "[vf#0:0 @ 0x55c1db31cb80] [error] Terminating thread with return code -22 (Invalid argument)\n"
            "[vost#0:0/libx264 @ 0x55c1db31a240] [enc:libx264 @ 0x55c1db31ac40] [error] Could not open encoder before EOF\n"
            "[vost#0:0/libx264 @ 0x55c1db31a240] [error] Task finished with error code: -22 (Invalid argument)\n"
        ),
    ),
    (
        "bad_pixfmt",
        234,
        Class.UNSUPPORTED,
        "Unknown pixel format requested: nosuch.",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[vost#0:0/libx264 @ 0x55756a0a6240] [fatal] Unknown pixel format requested: nosuch.\n"
            "[error] Error opening output file file:o.mp4.\n"
            "[fatal] Error opening output files: Invalid argument\n"
        ),
    ),
    (
        "odd_size",
        187,
        Class.UNSUPPORTED,
        "width not divisible by 2 (127x95)",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[libx264 @ 0x5570053e7b80] [error] width not divisible by 2 (127x95)\n"
            "[vost#0:0/libx264 @ 0x5570053e70c0] [enc:libx264 @ 0x5570053e7a80] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"
            "[vf#0:0 @ 0x5570053e9700] [error] Error sending frames to consumers: Generic error in an external library\n"
            "[vf#0:0 @ 0x5570053e9700] [error] Task finished with error code: -542398533 (Generic error in an external library)\n"
            "[vf#0:0 @ 0x5570053e9700] [error] Terminating thread with return code -542398533 (Generic error in an external library)\n"
            "[vost#0:0/libx264 @ 0x5570053e70c0] [enc:libx264 @ 0x5570053e7a80] [error] Could not open encoder before EOF\n"
            "[vost#0:0/libx264 @ 0x5570053e70c0] [error] Task finished with error code: -22 (Invalid argument)\n"
        ),
    ),
    (
        "bad_bitrate",
        234,
        Class.UNSUPPORTED,
        'Unable to parse "b" option value "abc"',
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[libx264 @ 0x56407da64dc0] [Eval @ 0x7ffd84312660] [error] Undefined constant or missing '(' in 'abc'\n"
            '[libx264 @ 0x56407da64dc0] [error] Unable to parse "b" option value "abc"\n'
            "[libx264 @ 0x56407da64dc0] [error] Error setting option b to value abc.\n"
            "[vost#0:0/libx264 @ 0x56407da64240] [error] Error applying encoder options: Invalid argument\n"
            "[error] Error opening output file file:o.mp4.\n"
            "[fatal] Error opening output files: Invalid argument\n"
        ),
    ),
    (
        "svt_preset",
        222,
        Class.UNSUPPORTED,
        "Value 99.000000 for parameter 'preset' out of range [-2 - 13]",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[libsvtav1 @ 0x55e6b6d82bc0] [error] Value 99.000000 for parameter 'preset' out of range [-2 - 13]\n"
            "[libsvtav1 @ 0x55e6b6d82bc0] [error] Error setting option preset to value 99.\n"
            "[vost#0:0/libsvtav1 @ 0x55e6b6d82100] [error] Error applying encoder options: Numerical result out of range\n"
            "[error] Error opening output file file:o.mp4.\n"
            "[fatal] Error opening output files: Numerical result out of range\n"
        ),
    ),
    (
        "h264_in_webm",
        234,
        Class.UNSUPPORTED,
        "Only VP8 or VP9 or AV1 video and Vorbis or Opus audio and WebVTT subtitles are supported for WebM.",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[webm @ 0x555fce84d640] [error] Only VP8 or VP9 or AV1 video and Vorbis or Opus audio and WebVTT subtitles are supported for WebM.\n"
            "[out#0/webm @ 0x555fce84d500] [error] Could not write header (incorrect codec parameters ?): Invalid argument\n"
            "[vf#0:0 @ 0x555fce850c00] [error] Error sending frames to consumers: Invalid argument\n"
            "[vf#0:0 @ 0x555fce850c00] [error] Task finished with error code: -22 (Invalid argument)\n"
            "[vf#0:0 @ 0x555fce850c00] [error] Terminating thread with return code -22 (Invalid argument)\n"
            "[out#0/webm @ 0x555fce84d500] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"
        ),
    ),
    (
        "bad_format",
        234,
        Class.UNSUPPORTED,
        "Requested output format 'nosuch' is not known.",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[AVFormatContext @ 0x55699afd6640] [error] Requested output format 'nosuch' is not known.\n"
            "[out#0 @ 0x55699afd6500] [fatal] Error initializing the muxer for file:o.mp4: Invalid argument\n"
            "[error] Error opening output file file:o.mp4.\n"
            "[fatal] Error opening output files: Invalid argument\n"
        ),
    ),
    (
        "no_suffix",
        234,
        Class.UNSUPPORTED,
        "Unable to choose an output format for 'file:/tmp/ns/nosuffix'; use a standard extension for the filename or specify the format manually.",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[AVFormatContext @ 0x55683e58a7c0] [error] Unable to choose an output format for 'file:/tmp/ns/nosuffix'; use a standard extension for the filename or specify the format manually.\n"
            "[out#0 @ 0x55683e58a680] [fatal] Error initializing the muxer for file:/tmp/ns/nosuffix: Invalid argument\n"
            "[error] Error opening output file file:/tmp/ns/nosuffix.\n"
            "[fatal] Error opening output files: Invalid argument\n"
        ),
    ),
    (
        "opus_rate",
        234,
        Class.UNSUPPORTED,
        "The bit rate 9000000 bps is unsupported. Please choose a value between 500 and 256000.",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[libopus @ 0x55712cae1340] [error] The bit rate 9000000 bps is unsupported. Please choose a value between 500 and 256000.\n"
            "[aost#0:1/libopus @ 0x55712cae0640] [enc:libopus @ 0x55712cae1200] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"
            "[af#0:1 @ 0x55712cae2280] [error] Error sending frames to consumers: Invalid argument\n"
            "[af#0:1 @ 0x55712cae2280] [error] Task finished with error code: -22 (Invalid argument)\n"
            "[af#0:1 @ 0x55712cae2280] [error] Terminating thread with return code -22 (Invalid argument)\n"
            "[aost#0:1/libopus @ 0x55712cae0640] [enc:libopus @ 0x55712cae1200] [error] Could not open encoder before EOF\n"
            "[aost#0:1/libopus @ 0x55712cae0640] [error] Task finished with error code: -22 (Invalid argument)\n"
        ),
    ),
    (
        "bad_bsf",
        8,
        Class.UNSUPPORTED,
        "Error parsing bitstream filter sequence 'nosuch': Bitstream filter not found",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/wt/node/tests/media/bigbuckbunny.mp4':\n"
            "[vost#0:0/copy @ 0x561d54c12180] [error] Error parsing bitstream filter sequence 'nosuch': Bitstream filter not found\n"
            "[error] Error opening output file file:o.mp4.\n"
            "[fatal] Error opening output files: Bitstream filter not found\n"
        ),
    ),
)
