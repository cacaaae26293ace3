"""ffmpeg on a host with GPUs: a script that ``standin.write_standin`` puts in place.

What uses no hardware encoder becomes the real ffmpeg at once, unchanged. What does becomes the
real ffmpeg with a software encoder in its place, or fails as the GPU that it names does now (see
``gpus.json``), with ffmpeg's own words and exit code. Standard library only, to start in
milliseconds; the process stays the same one throughout.
"""

import itertools
import os
import sys

CODECS = {
    "nvenc": ("h264", "hevc", "av1"),
    "qsv": ("h264", "hevc", "av1", "vp9"),
    "vaapi": ("h264", "hevc", "av1", "vp9"),
}
SOFTWARE = {
    "h264": ("libx264", "-preset", "ultrafast"),
    "hevc": ("libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"),
    "av1": ("libsvtav1", "-preset", "12"),
    "vp9": ("libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
}
ENCODER_OPTIONS = ("-c:v", "-codec:v", "-vcodec")
DEVICE_OPTIONS = {"nvenc": "-gpu", "qsv": "-qsv_device", "vaapi": "-vaapi_device"}
QUALITY_OPTIONS = ("-cq", "-qp", "-global_quality")
DROPPED = frozenset(
    (
        *DEVICE_OPTIONS.values(),
        *("-preset", "-tune", "-zerolatency", "-delay", "-bf", "-rc", "-rc_mode", "-forced-idr"),
        *("-forced_idr", "-async_depth", "-low_power", "-b_ref_mode", "-rc-lookahead"),
        *("-compression_level", "-init_hw_device", "-filter_hw_device"),
    )
)
"""Options with a value that software encoders do not know, or know by other values."""
CRF_PER_QUALITY = {("qsv", "av1"): 63 / 51, ("qsv", "vp9"): 63 / 51}
CRF_PER_QUALITY |= {("vaapi", "av1"): 1 / 4, ("vaapi", "vp9"): 1 / 4}
SMALLEST = (145, 49)
"""Width and height below which NVENC refuses to encode."""

# how ffmpeg ends: the low byte of its error number
EINVAL, EIO, ENOSYS, EXTERNAL, UNKNOWN = 234, 251, 218, 187, 171
WORDS = {EINVAL: "Invalid argument", EIO: "Input/output error"}
WORDS |= {ENOSYS: "Function not implemented", UNKNOWN: "Unknown error occurred"}
WORDS |= {EXTERNAL: "Generic error in an external library"}

Line = tuple[str, str]
"""Level and words."""


def main() -> None:
    """Become ffmpeg, or fail as the GPU does."""
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))  # noqa: PTH100, PTH120
    real, argv = f"{folder}/real-ffmpeg", sys.argv[1:]
    encoder = hardware_encoder(argv)
    if encoder is None:
        os.execv(real, [real, *argv])  # noqa: S606
    codec, hardware = encoder
    gpu, behaviour = device(folder, hardware, argv)
    record(folder, hardware=hardware, gpu=gpu, codec=codec, behaviour=behaviour)
    if behaviour == "crash":
        crash()
    if behaviour == "hang":
        hang()
    failure = failure_of(behaviour, hardware, codec, str(gpu), argv)
    if failure is None:
        os.execv(real, [real, *software(argv, codec, hardware)])  # noqa: S606
    fail(failure, f"{codec}_{hardware}", argv)


def hardware_encoder(argv: list[str]) -> tuple[str, str] | None:
    """Codec and hardware of the encoder that is asked for, None for any other encoder."""
    for option, value in itertools.pairwise(argv):
        codec, _, hardware = value.rpartition("_")
        if option in ENCODER_OPTIONS and codec in CODECS.get(hardware, ()):
            return codec, hardware
    return None


def device(folder: str, hardware: str, argv: list[str]) -> tuple[str | None, object]:
    """The GPU that is asked for, else the first, and what becomes of an encode on it."""
    import json

    with open(f"{folder}/gpus.json") as file:  # noqa: PTH123
        gpus: dict[str, object] = json.load(file).get(hardware, {})
    asked = value_of(argv, DEVICE_OPTIONS[hardware])
    gpu = next(iter(gpus), None) if asked is None else asked
    return gpu, gpus.get(gpu or "", "absent")


def value_of(argv: list[str], option: str) -> str | None:
    """The value of the last such option."""
    found = None
    for name, value in itertools.pairwise(argv):
        found = value if name == option else found
    return found


def record(folder: str, **run: object) -> None:
    """Add a line to ``runs.jsonl``, whole even where several do at once."""
    import json
    import time

    known = {**run, "argv": sys.argv[1:], "started_at": time.time(), "pid": os.getpid()}
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    file = os.open(f"{folder}/runs.jsonl", flags, 0o644)
    os.write(file, json.dumps(known).encode() + b"\n")
    os.close(file)


def crash() -> None:
    """Die as a driver does that takes its process along."""
    import signal

    os.kill(os.getpid(), signal.SIGSEGV)


def hang() -> None:
    """Hear nothing but SIGKILL, as a process that waits for a GPU that hangs."""
    import signal

    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


def failure_of(
    behaviour: object, hardware: str, codec: str, gpu: str, argv: list[str]
) -> tuple[int, list[Line]] | None:
    """Exit code and first lines of a GPU that fails; None where it works."""
    if isinstance(behaviour, dict):
        return (
            NO_CODEC[hardware] if codec in behaviour["fail_codecs"] else too_small(hardware, argv)
        )
    if behaviour == "works":
        return too_small(hardware, argv)
    code, lines = FAILURES[hardware, str(behaviour)]
    return code, [(level, words.replace("{gpu}", gpu)) for level, words in lines]


def too_small(hardware: str, argv: list[str]) -> tuple[int, list[Line]] | None:
    """How NVENC refuses small frames."""
    size = frame_size(argv)
    if hardware != "nvenc" or size is None or (size[0] >= SMALLEST[0] and size[1] >= SMALLEST[1]):
        return None
    why = "Frame Dimension less than the minimum supported value."
    return EINVAL, [("error", f"InitializeEncoder failed: invalid param (8): {why}")]


def frame_size(argv: list[str]) -> tuple[int, int] | None:
    """Of the output: what the filters pad to, else the size of the synthetic source."""
    import re

    text = " ".join(argv)
    found = re.findall(r"\bpad=(\d+):(\d+)", text) or re.findall(r"\bs(?:ize)?=(\d+)x(\d+)", text)
    return (int(found[-1][0]), int(found[-1][1])) if found else None


def software(argv: list[str], codec: str, hardware: str) -> list[str]:
    """The same command line for a software encoder."""
    out: list[str] = []
    values = iter(argv)
    for option in values:
        if option in DROPPED:
            next(values, None)
        elif option in ENCODER_OPTIONS:
            next(values)
            out += ["-c:v", *SOFTWARE[codec]]
        elif option in QUALITY_OPTIONS:
            quality = float(next(values)) * CRF_PER_QUALITY.get((hardware, codec), 1)
            out += ["-crf", str(round(quality))]
        elif option == "-vf":
            filters = next(values).removesuffix(",hwupload")
            out += ["-vf", filters.replace("format=nv12", "format=yuv420p")]
        elif option == "-b:v" and (bits := next(values)) == "0":
            continue
        elif option == "-b:v":
            out += ["-b:v", bits]
        elif option == "-maxrate" and codec == "av1":
            out += ["-svtav1-params", "pred-struct=1", "-maxrate", next(values)]
        else:
            out.append(option)
    return out


def fail(failure: tuple[int, list[Line]], encoder: str, argv: list[str]) -> None:
    """Say what ffmpeg says and end as it ends."""
    code, lines = failure
    loglevel = value_of(argv, "-loglevel") or value_of(argv, "-v") or "info"
    context = f"[{encoder} @ 0x55d0c0de0440]"
    said = [(level, words if words[0] == "[" else f"{context} {words}") for level, words in lines]
    if words_of_device(lines):
        said = [(level, words.removeprefix(f"{context} ")) for level, words in said]
    else:
        said += after_opening(encoder, WORDS[code])
    for level, words in said:
        sys.stderr.write(marked(level, words) if "level" in loglevel else f"{words}\n")
    sys.stderr.flush()
    os._exit(code)


def words_of_device(lines: list[Line]) -> bool:
    """True where ffmpeg opens the device itself, before any encoder."""
    return any("Device creation failed" in words for _, words in lines)


def marked(level: str, words: str) -> str:
    """A line with its level, which stands after the names of who says it."""
    names, mark, rest = words.rpartition("] ") if words[0] == "[" else ("", "", words)
    return f"{names}{mark}[{level}] {rest}\n"


def after_opening(encoder: str, words: str) -> list[Line]:
    """What follows from an encoder that does not open."""
    stream = f"[vost#0:0/{encoder} @ 0x55d0c0de08c0]"
    opening = "Error while opening encoder - maybe incorrect parameters such as bit_rate, rate,"
    return [
        ("error", f"{stream} [enc:{encoder} @ 0x55d0c0de0380] {opening} width or height."),
        ("error", f"[vf#0:0 @ 0x55d0c0de1980] Error sending frames to consumers: {words}"),
        ("error", f"{stream} [enc:{encoder} @ 0x55d0c0de0380] Could not open encoder before EOF"),
        ("error", f"{stream} Terminating thread with return code -22 (Invalid argument)"),
    ]


def without_display(code: int, words: str) -> tuple[int, list[Line]]:
    """How ffmpeg ends where a device named for QSV or VAAPI cannot be opened."""
    lines = [
        ("error", f"[VAAPI @ 0x55d0c0de3440] {words}"),
        ("error", f"Device creation failed: {code - 256}."),
        ("fatal", f"Error parsing global options: {WORDS[code]}"),
    ]
    return code, lines


NO_DISPLAY = without_display(EINVAL, "No VA display found for device {gpu}.")
OLD_DISPLAY = without_display(
    EIO, "Failed to initialise VAAPI connection: -1 (unknown libva error)."
)
NONE_CAPABLE: Line = ("fatal", "No capable devices found")
FAILURES: dict[tuple[str, str], tuple[int, list[Line]]] = {
    ("nvenc", "absent"): (EXTERNAL, [NONE_CAPABLE]),
    ("nvenc", "no_session"): (
        EXTERNAL,
        [("error", "OpenEncodeSessionEx failed: out of memory (10): (no details)"), NONE_CAPABLE],
    ),
    ("nvenc", "no_device"): (
        UNKNOWN,
        [
            (
                "error",
                "dl_fn->cuda_dl->cuInit(0) failed -> "
                "CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
            )
        ],
    ),
    ("nvenc", "driver_too_old"): (
        ENOSYS,
        [
            (
                "error",
                "Driver does not support the required nvenc API version. "
                "Required: 13.0 Found: 12.1",
            ),
            ("error", "The minimum required Nvidia driver for nvenc is 570.0 or newer"),
        ],
    ),
    ("qsv", "absent"): NO_DISPLAY,
    ("qsv", "no_device"): NO_DISPLAY,
    ("qsv", "driver_too_old"): OLD_DISPLAY,
    ("qsv", "no_session"): (UNKNOWN, [("error", "Error creating a MFX session: -9.")]),
    ("vaapi", "absent"): NO_DISPLAY,
    ("vaapi", "no_device"): NO_DISPLAY,
    ("vaapi", "driver_too_old"): OLD_DISPLAY,
    ("vaapi", "no_session"): (
        EIO,
        [
            (
                "error",
                "Failed to create encode pipeline configuration: 2 (resource allocation failed).",
            )
        ],
    ),
}
NO_CODEC: dict[str, tuple[int, list[Line]]] = {
    "nvenc": (EXTERNAL, [("warning", "Codec not supported"), NONE_CAPABLE]),
    "qsv": (ENOSYS, [("error", "Current codec type is unsupported")]),
    "vaapi": (ENOSYS, [("error", "No usable encoding profile found.")]),
}


if __name__ == "__main__":
    main()
