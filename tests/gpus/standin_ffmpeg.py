"""ffmpeg on a host with GPUs: a script that ``standin.write_standin`` puts in place.

What uses no hardware encoder becomes the real ffmpeg at once, unchanged. What does becomes the
real ffmpeg with a software encoder in its place, or fails as the GPU that it names does now (see
``gpus.json``; ``standin.Mood`` says what each behaviour is), with ffmpeg's own words and exit
code. Standard library only, to start in milliseconds; the process stays the same one throughout,
but for ``fails_midway``, where ffmpeg is its child.
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
SOFTWARE_CODECS = {encoder: codec for codec, (encoder, *_) in SOFTWARE.items()}
ENCODER_OPTIONS = ("-c:v", "-codec:v", "-vcodec")
DEVICE_OPTIONS = {"nvenc": "-gpu", "qsv": "-qsv_device", "vaapi": "-vaapi_device"}
QUALITY_OPTIONS = ("-cq", "-qp", "-global_quality")
DROPPED = {
    *DEVICE_OPTIONS.values(),
    *("-preset", "-tune", "-zerolatency", "-delay", "-bf", "-rc", "-rc_mode", "-forced-idr"),
    *("-forced_idr", "-async_depth", "-low_power", "-b_ref_mode", "-rc-lookahead"),
    *("-compression_level", "-init_hw_device", "-filter_hw_device"),
}
"""Options with a value that software encoders do not know, or know by other values."""
PIXEL_FORMATS = (("nv12", "yuv420p"), ("p010le", "yuv420p10le"))
CRF_PER_QUALITY = {("qsv", "av1"): 63 / 51, ("qsv", "vp9"): 63 / 51}
CRF_PER_QUALITY |= {("vaapi", "av1"): 1 / 4, ("vaapi", "vp9"): 1 / 4}
SMALLEST = (145, 49)
"""Width and height below which NVENC refuses to encode."""
MIDWAY_FRAMES = 30
STARTING = ("works", "eight_bit", "one_session", "fails_midway")
"""Behaviours of GPUs whose encoders open."""

# how ffmpeg ends: the low byte of its error number
EINVAL, EIO, ENOMEM, ENOSYS, EXTERNAL, UNKNOWN = 234, 251, 244, 218, 187, 171
WORDS = {EINVAL: "Invalid argument", EIO: "Input/output error"}
WORDS |= {ENOSYS: "Function not implemented", UNKNOWN: "Unknown error occurred"}
WORDS |= {ENOMEM: "Cannot allocate memory", EXTERNAL: "Generic error in an external library"}

Line = tuple[str, str]
"""Level and words."""
Failure = tuple[int, list[Line]]
"""Exit code and lines."""


def main() -> None:
    """Become ffmpeg, or fail as the GPU does."""
    folder = os.path.dirname(os.path.abspath(sys.argv[0]))  # noqa: PTH100, PTH120
    real, argv = f"{folder}/real-ffmpeg", sys.argv[1:]
    if "-encoders" in argv:
        list_encoders(folder, real, argv)
    asked = encoder_asked(argv)
    if asked is not None:
        codec, hardware = asked
        gpu, behaviour = device(folder, hardware, argv)
        record(folder, hardware=hardware, gpu=gpu, codec=codec, behaviour=behaviour)
        if hardware != "cpu":
            encode_on(str(gpu), behaviour, folder, codec, hardware)
    os.execv(real, [real, *argv])  # noqa: S606


def list_encoders(folder: str, real: str, argv: list[str]) -> None:
    """Say what the real ffmpeg says, without the encoders that this one lacks."""
    import subprocess

    with open(f"{folder}/missing-encoders") as file:  # noqa: PTH123
        missing = file.read().split()
    said = subprocess.run([real, *argv], stdout=subprocess.PIPE, text=True, check=False)
    lines = said.stdout.splitlines(keepends=True)
    sys.stdout.writelines(line for line in lines if not any(word in line for word in missing))
    sys.stdout.flush()
    os._exit(said.returncode)


def encoder_asked(argv: list[str]) -> tuple[str, str] | None:
    """Codec and hardware (``cpu`` for software) of the encoder, None for none that is known."""
    for option, value in itertools.pairwise(argv):
        if option not in ENCODER_OPTIONS:
            continue
        if value in SOFTWARE_CODECS:
            return SOFTWARE_CODECS[value], "cpu"
        codec, _, hardware = value.rpartition("_")
        if codec in CODECS.get(hardware, ()):
            return codec, hardware
    return None


def encode_on(gpu: str, behaviour: object, folder: str, codec: str, hardware: str) -> None:
    """Do what the GPU does with an encode; never returns."""
    real, argv, encoder = f"{folder}/real-ffmpeg", sys.argv[1:], f"{codec}_{hardware}"
    if behaviour in ("crash", "hang"):
        break_down(str(behaviour))
    if behaviour == "one_session" and is_taken(folder, gpu):
        behaviour = "no_session"
    failure = failure_of(behaviour, hardware, codec, gpu, argv)
    if failure is not None:
        end(opening_failed(failure, encoder), argv)
    arguments = software(argv, codec, hardware)
    if behaviour == "fails_midway":
        encode_some(real, arguments, counted=f"{folder}/frames-{os.getpid()}")
        end(encoding_failed(MIDWAY[hardware], encoder), argv)
    os.execv(real, [real, *arguments])  # noqa: S606


def device(folder: str, hardware: str, argv: list[str]) -> tuple[str | None, object]:
    """The GPU that is asked for, else the first, and what becomes of an encode on it."""
    import json

    if hardware == "cpu":
        return None, "works"
    with open(f"{folder}/gpus.json") as file:  # noqa: PTH123
        gpus: dict[str, object] = json.load(file).get(hardware, {})
    asked = value_of(argv, DEVICE_OPTIONS[hardware])
    gpu = next(iter(gpus), None) if asked is None else asked
    return gpu, gpus.get(gpu or "", "absent")


def value_of(argv: list[str], option: str) -> str | None:
    """The value of the last such option."""
    values = [value for name, value in itertools.pairwise(argv) if name == option]
    return values[-1] if values else None


def record(folder: str, **run: object) -> None:
    """Add a line to ``runs.jsonl``, whole even where several do at once."""
    import json
    import time

    known = {**run, "argv": sys.argv[1:], "started_at": time.time(), "pid": os.getpid()}
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    file = os.open(f"{folder}/runs.jsonl", flags, 0o644)
    os.write(file, json.dumps(known).encode() + b"\n")
    os.close(file)


def break_down(behaviour: str) -> None:
    """Die as a driver does that takes its process along, or hear nothing but SIGKILL."""
    import signal

    if behaviour == "crash":
        os.kill(os.getpid(), signal.SIGSEGV)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    while True:
        signal.pause()


def is_taken(folder: str, gpu: str) -> bool:
    """True while another encode has the GPU's session, else it is this process's until it ends."""
    import fcntl

    file = f"{folder}/session-{gpu.replace('/', '-')}"
    lock = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    os.set_inheritable(lock, True)  # the lock goes on to the ffmpeg that this process becomes
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def encode_some(real: str, arguments: list[str], *, counted: str) -> None:
    """Return after MIDWAY_FRAMES; where the encode ends before them, end as it did."""
    import signal

    *options, output = arguments
    frames = min(MIDWAY_FRAMES, int(value_of(options, "-frames:v") or MIDWAY_FRAMES))
    options += ["-frames:v", str(frames), "-shortest", "-stats_enc_post:v", counted]
    child = os.fork()
    if child == 0:
        become_bound(real, [*options, output])
    signal.signal(signal.SIGTERM, lambda number, _: os.kill(child, number))
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    encoded = lines_of(counted)
    if code < 0:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.kill(os.getpid(), -code)
    if code != 0 or encoded < MIDWAY_FRAMES:
        os._exit(code)


def lines_of(name: str) -> int:
    """How many lines the file had, which is gone now; 0 where there was none."""
    try:
        with open(name) as file:  # noqa: PTH123
            os.unlink(name)  # noqa: PTH108
            return len(file.readlines())
    except FileNotFoundError:
        return 0


def become_bound(real: str, arguments: list[str]) -> None:
    """Become ffmpeg, killed when the parent is: whoever kills that knows of no child."""
    import ctypes
    import signal

    set_parent_death_signal = 1
    ctypes.CDLL(None).prctl(set_parent_death_signal, signal.SIGKILL)
    os.execv(real, [real, *arguments])  # noqa: S606


def failure_of(
    behaviour: object, hardware: str, codec: str, gpu: str, argv: list[str]
) -> Failure | None:
    """How a GPU fails to open its encoder; None where it opens."""
    if isinstance(behaviour, dict) and codec in behaviour["fail_codecs"]:
        return NO_CODEC[hardware]
    if behaviour == "eight_bit" and "p010" in str(value_of(argv, "-vf")):
        return NO_DEPTH[hardware]
    if isinstance(behaviour, dict) or behaviour in STARTING:
        return too_small(hardware, argv)
    code, lines = FAILURES[hardware, str(behaviour)]
    return code, [(level, words.replace("{gpu}", gpu)) for level, words in lines]


def too_small(hardware: str, argv: list[str]) -> Failure | None:
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
            for own, software_format in PIXEL_FORMATS:
                filters = filters.replace(f"format={own}", f"format={software_format}")
            out += ["-vf", filters]
        elif option == "-b:v":
            bits = next(values)
            out += ["-b:v", bits] if bits != "0" else []
        elif option == "-maxrate" and codec == "av1":
            out += ["-svtav1-params", "pred-struct=1", "-maxrate", next(values)]
        else:
            out.append(option)
    return out


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


if __name__ == "__main__":
    main()
