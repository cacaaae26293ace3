"""ffmpeg on a host with GPUs: a script that ``standin.write_standin`` puts in place.

What uses no hardware encoder becomes the real ffmpeg at once, unchanged. What does becomes the
real ffmpeg with a software encoder in its place, or fails as the GPU that it names does now (see
``gpus.json``; ``standin.Mood`` says what each behaviour is), with ffmpeg's own words and exit
code. Standard library only, to start in milliseconds; the process stays the same one throughout,
but for ``fails_midway``, where ffmpeg is its child. Its words are in ``standin_words``, what it
makes of a command line in ``standin_argv``.
"""

import itertools
import os
import sys

from tests.gpus.standin_argv import (
    CODECS,
    DEVICE_OPTIONS,
    ENCODER_OPTIONS,
    SMALLEST,
    SOFTWARE_CODECS,
    decodes_on_gpu,
    filters_of,
    frame_size,
    meets_wrong_memory,
    software,
    split,
    value_of,
)
from tests.gpus.standin_words import (
    EINVAL,
    FAILURES,
    MIDWAY,
    NO_CODEC,
    NO_DECODER,
    NO_DEPTH,
    WRONG_MEMORY,
    Failure,
    encoding_failed,
    end,
    opening_failed,
)

MIDWAY_FRAMES = 30
STARTING = ("works", "eight_bit", "no_decoder", "one_session", "fails_midway")
"""Behaviours of GPUs whose encoders open."""


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
        if split(option)[0] not in ENCODER_OPTIONS:
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
    failure = decoding_failure_of(behaviour, hardware, argv)
    if failure is not None:
        end(failure, argv)
    if decodes_on_gpu(argv, hardware) and argv[-2:] == ["null", "-"]:
        os._exit(0)  # a test of decoders: nothing comes of it
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
    if behaviour == "eight_bit" and "p010" in filters_of(argv):
        return NO_DEPTH[hardware]
    if isinstance(behaviour, dict) or behaviour in STARTING:
        return too_small(hardware, argv)
    code, lines = FAILURES[hardware, str(behaviour)]
    return code, [(level, words.replace("{gpu}", gpu)) for level, words in lines]


def decoding_failure_of(behaviour: object, hardware: str, argv: list[str]) -> Failure | None:
    """How frames fail to reach the encoder of a GPU; None where they do."""
    if meets_wrong_memory(argv, hardware):
        return WRONG_MEMORY
    # what uploads also takes frames that were decoded in software, which QSV's decoders never do
    has_way_out = "hwupload" in filters_of(argv) and hardware != "qsv"
    if behaviour == "no_decoder" and decodes_on_gpu(argv, hardware) and not has_way_out:
        return NO_DECODER[hardware]
    return None


def too_small(hardware: str, argv: list[str]) -> Failure | None:
    """How NVENC refuses small frames."""
    size = frame_size(argv)
    if hardware != "nvenc" or size is None or (size[0] >= SMALLEST[0] and size[1] >= SMALLEST[1]):
        return None
    why = "Frame Dimension less than the minimum supported value."
    return EINVAL, [("error", f"InitializeEncoder failed: invalid param (8): {why}")]
