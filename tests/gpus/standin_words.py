"""What an ffmpeg says, and how it ends, where a GPU fails it: ffmpeg's own words.

Standard library only, as all of the stand-in.
"""

import os
import sys

from tests.gpus.standin_argv import value_of

# how ffmpeg ends: the low byte of its error number
EINVAL, EIO, ENOMEM, ENOSYS, EXTERNAL, UNKNOWN = 234, 251, 244, 218, 187, 171
WORDS = {EINVAL: "Invalid argument", EIO: "Input/output error"}
WORDS |= {ENOSYS: "Function not implemented", UNKNOWN: "Unknown error occurred"}
WORDS |= {ENOMEM: "Cannot allocate memory", EXTERNAL: "Generic error in an external library"}

Line = tuple[str, str]
"""Level and words."""
Failure = tuple[int, list[Line]]
"""Exit code and lines."""


def end(failure: Failure, argv: list[str]) -> None:
    """Say this as ffmpeg would and end."""
    code, lines = failure
    loglevel = value_of(argv, "-loglevel") or value_of(argv, "-v") or "info"
    for level, words in lines:
        sys.stderr.write(marked(level, words) if "level" in loglevel else f"{words}\n")
    sys.stderr.flush()
    os._exit(code)


def marked(level: str, words: str) -> str:
    """A line with its level, which stands after the names of who says it."""
    names, mark, rest = words.rpartition("] ") if words[0] == "[" else ("", "", words)
    return f"{names}{mark}[{level}] {rest}\n"


def opening_failed(failure: Failure, encoder: str) -> Failure:
    """All that ffmpeg says where its encoder does not open, or the device before it."""
    code, lines = failure
    if any("Device creation failed" in words for _, words in lines):
        return failure
    stream, context = contexts(encoder)
    opening = "Error while opening encoder - maybe incorrect parameters such as bit_rate, rate,"
    return code, [
        *own_words(lines, encoder),
        ("error", f"{context} {opening} width or height."),
        ("error", f"[vf#0:0 @ 0x55d0c0de1980] Error sending frames to consumers: {WORDS[code]}"),
        ("error", f"{context} Could not open encoder before EOF"),
        ("error", f"{stream} Terminating thread with return code -22 (Invalid argument)"),
    ]


def encoding_failed(failure: Failure, encoder: str) -> Failure:
    """All that ffmpeg says where an open encoder fails."""
    code, lines = failure
    stream, context = contexts(encoder)
    number = f"{code - 256} ({WORDS[code]})"
    return code, [
        *own_words(lines, encoder),
        ("error", f"{context} Error submitting video frame to the encoder"),
        ("error", f"{context} Error encoding a frame: {WORDS[code]}"),
        ("error", f"{stream} Task finished with error code: {number}"),
        ("error", f"{stream} Terminating thread with return code {number}"),
    ]


def contexts(encoder: str) -> tuple[str, str]:
    """How ffmpeg marks lines of the stream, and of its encoder."""
    stream = f"[vost#0:0/{encoder} @ 0x55d0c0de08c0]"
    return stream, f"{stream} [enc:{encoder} @ 0x55d0c0de0380]"


def own_words(lines: list[Line], encoder: str) -> list[Line]:
    """Lines as the encoder itself says them."""
    return [(level, f"[{encoder} @ 0x55d0c0de0440] {words}") for level, words in lines]


def errors(code: int, *words: str) -> Failure:
    """A failure told in errors only."""
    return code, [("error", line) for line in words]


def none_capable(level: str, words: str) -> Failure:
    """How NVENC ends where no GPU does what is asked."""
    return EXTERNAL, [(level, words), NONE_CAPABLE]


def without_display(code: int, words: str) -> Failure:
    """How ffmpeg ends where a device named for QSV or VAAPI cannot be opened."""
    lines = [
        ("error", f"[VAAPI @ 0x55d0c0de3440] {words}"),
        ("error", f"Device creation failed: {code - 256}."),
        ("fatal", f"Error parsing global options: {WORDS[code]}"),
    ]
    return code, lines


def undecoded(*lines: Line) -> Failure:
    """How ffmpeg ends where frames that a filter wants on the GPU are not there."""
    between = "the filter 'graph -1 input from stream 0:0' and the filter 'auto_scale_0'"
    return ENOSYS, [
        *lines,
        ("error", f"Impossible to convert between the formats supported by {between}"),
        ("error", "[vf#0:0 @ 0x55d0c0de1980] Error reinitializing filters!"),
        (
            "error",
            f"[vf#0:0 @ 0x55d0c0de1980] Task finished with error code: -38 ({WORDS[ENOSYS]})",
        ),
    ]


NONE_CAPABLE: Line = ("fatal", "No capable devices found")
NO_DISPLAY = without_display(EINVAL, "No VA display found for device {gpu}.")
OLD_DISPLAY = without_display(
    EIO, "Failed to initialise VAAPI connection: -1 (unknown libva error)."
)
NO_CODEC = {
    "nvenc": none_capable("warning", "Codec not supported"),
    "qsv": errors(ENOSYS, "Current codec type is unsupported"),
    "vaapi": errors(ENOSYS, "No usable encoding profile found."),
}
NO_DEPTH = {
    "nvenc": none_capable("warning", "10 bit encode not supported"),
    "qsv": errors(ENOSYS, "Current pixel format is unsupported"),
    "vaapi": errors(ENOSYS, "No usable encoding profile found."),
}
_CONTEXT = "[h264 @ 0x55d0c0de2240]"
_NO_ACCELERATION: Line = (
    "error",
    f"{_CONTEXT} Failed setup for format cuda: hwaccel initialisation returned error.",
)
WRONG_MEMORY = undecoded()
NO_DECODER = {
    "nvenc": undecoded(
        ("warning", f"{_CONTEXT} Hardware is lacking required capabilities"), _NO_ACCELERATION
    ),
    "qsv": errors(
        ENOSYS,
        "[h264_qsv @ 0x55d0c0de2240] Error initializing the MFX video decoder: unsupported (-3)",
    ),
    "vaapi": undecoded(("error", f"{_CONTEXT} No support for codec h264 profile 100.")),
}
MIDWAY = {
    "nvenc": errors(ENOMEM, "EncodePicture failed!: out of memory (10): "),
    "qsv": errors(EIO, "Error during encoding: device failed (-17)"),
    "vaapi": errors(EIO, "Failed to end picture encode issue: 24 (internal encoding error)."),
}
FAILURES = {
    ("nvenc", "absent"): (EXTERNAL, [NONE_CAPABLE]),
    ("nvenc", "no_encoder"): none_capable(
        "error", "OpenEncodeSessionEx failed: unsupported device (2): (no details)"
    ),
    ("nvenc", "no_session"): none_capable(
        "error", "OpenEncodeSessionEx failed: out of memory (10): (no details)"
    ),
    ("nvenc", "no_device"): errors(
        UNKNOWN,
        "dl_fn->cuda_dl->cuInit(0) failed -> "
        "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
    ),
    ("nvenc", "driver_too_old"): errors(
        ENOSYS,
        "Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1",
        "The minimum required Nvidia driver for nvenc is 570.0 or newer",
    ),
    ("qsv", "no_session"): errors(UNKNOWN, "Error creating a MFX session: -9."),
    ("vaapi", "no_session"): errors(
        EIO, "Failed to create encode pipeline configuration: 2 (resource allocation failed)."
    ),
}
for family in ("qsv", "vaapi"):
    FAILURES[family, "absent"] = FAILURES[family, "no_device"] = NO_DISPLAY
    FAILURES[family, "driver_too_old"] = OLD_DISPLAY
    FAILURES[family, "no_encoder"] = NO_CODEC[family]
