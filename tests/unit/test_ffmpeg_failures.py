"""Failures are read from what ffmpeg really says."""

import re

import pytest

from ffrtmp.domain.retry import FailureClass
from tests.media.ffmpeg_samples import SAMPLES
from tests.media.gpu_lines import GPU_LINES
from workers.ffmpeg.failures import Failure, classify


@pytest.mark.parametrize(
    ("exit_code", "failure_class", "message", "stderr"),
    [sample[1:] for sample in SAMPLES],
    ids=[sample[0] for sample in SAMPLES],
)
def test_real_output_has_the_class_and_the_line_that_matter(
    exit_code: int, failure_class: FailureClass, message: str, stderr: str
) -> None:
    found = classify(exit_code=exit_code, signal=None, stderr=stderr)

    assert found == Failure(failure_class=failure_class, message=message)


@pytest.mark.parametrize(
    ("exit_code", "failure_class", "stderr"),
    [sample[1:3] + sample[4:] for sample in SAMPLES],
    ids=[sample[0] for sample in SAMPLES],
)
def test_output_without_level_marks_has_the_same_class(
    exit_code: int, failure_class: FailureClass, stderr: str
) -> None:
    unmarked = re.sub(r"\[(warning|error|fatal|info)\] ", "", stderr)

    assert classify(exit_code=exit_code, signal=None, stderr=unmarked.upper()).failure_class is (
        failure_class
    )


@pytest.mark.parametrize(
    "end", ["Cannot allocate memory", "Input/output error", "No such file or directory"]
)
@pytest.mark.parametrize("line", [line for _, _, line in GPU_LINES])
def test_failing_gpu_is_the_hardwares_whatever_follows_from_it(line: str, end: str) -> None:
    stderr = (
        "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/x.mp4':\n"
        f"[h264_nvenc @ 0x1] [error] {line}\n"
        "[vost#0:0/h264_nvenc @ 0x1] [enc:h264_nvenc @ 0x2] [error] Error while opening encoder\n"
        f"[vf#0:0 @ 0x3] [error] Error sending frames to consumers: {end}\n"
        f"[vf#0:0 @ 0x3] [error] Task finished with error code: -12 ({end})\n"
    )

    found = classify(exit_code=244, signal=None, stderr=stderr)
    assert found == Failure(failure_class=FailureClass.HARDWARE, message=line.strip())


@pytest.mark.parametrize(("form", "line"), [gpu_line[1:] for gpu_line in GPU_LINES])
def test_line_of_a_gpu_has_the_form_that_it_is_said_to_come_from(form: str, line: str) -> None:
    values = {"%s": ".*", "%d": r"-?\d+", "%#x": "0x[0-9a-f]+", "%x": "[0-9a-f]+"}
    parts = re.split("(%s|%d|%#x|%x)", form)

    assert re.fullmatch("".join(values.get(part, re.escape(part)) for part in parts), line)


def test_memory_of_the_host_is_not_the_devices_failure() -> None:
    stderr = "[libx264 @ 0x1] [error] x\n[error] Error encoding a frame: Cannot allocate memory\n"

    assert classify(exit_code=244, signal=None, stderr=stderr).failure_class is FailureClass.KILLED


@pytest.mark.parametrize(
    ("signal", "failure_class", "words"),
    [
        (9, FailureClass.KILLED, "SIGKILL"),
        (11, FailureClass.KILLED, "SIGSEGV"),
        (25, FailureClass.LIMIT_EXCEEDED, "file size limit"),
        (63, FailureClass.KILLED, "63"),
    ],
)
def test_silent_death_by_a_signal_names_the_signal(
    signal: int, failure_class: FailureClass, words: str
) -> None:
    found = classify(exit_code=None, signal=signal, stderr="[info] frame=1\n")

    assert found.failure_class is failure_class
    assert words in found.message


def test_signal_that_ffmpeg_caught_is_the_signal_and_not_its_exit_code() -> None:
    stderr = "[a @ 0x1] [warning] odd\n[info] Exiting normally, received signal 15.\n"

    found = classify(exit_code=255, signal=None, stderr=stderr)
    assert found == Failure(
        failure_class=FailureClass.KILLED, message="ffmpeg was ended by SIGTERM"
    )


def test_full_disk_before_a_kill_is_the_reason() -> None:
    stderr = "[out#0/mp4 @ 0x1] [error] Error closing file: No space left on device\n"

    assert classify(exit_code=None, signal=9, stderr=stderr).failure_class is FailureClass.NO_SPACE


def test_abort_for_a_driver_library_that_is_not_there_is_the_hardwares() -> None:
    stderr = (
        "implib-gen: libva-drm.so.2: failed to load library 'libva-drm.so.2' via dlopen: "
        "libva-drm.so.2: cannot open shared object file: No such file or directory\n"
    )

    assert classify(exit_code=None, signal=6, stderr=stderr).failure_class is FailureClass.HARDWARE


def test_names_and_metadata_from_the_media_decide_nothing() -> None:
    stderr = (
        "[info] Input #0, mov, from 'file:/x/No space left on device':\n"
        "[info]     title           : Connection refused\n"
        "Connection refused\n"
        "[error] Error opening input file file:/x/Connection refused\n"
        "[error] something new\n"
    )

    found = classify(exit_code=1, signal=None, stderr=stderr)

    assert found.failure_class is FailureClass.ENCODER
    assert found.message == "ffmpeg ended with exit code 1: something new"


def test_wrong_output_of_a_run_without_complaints_is_output_wrong() -> None:
    found = classify(exit_code=0, signal=None, stderr="[info] fine\n")

    assert found.failure_class is FailureClass.OUTPUT_WRONG


def test_endless_line_is_quoted_in_part() -> None:
    stderr = "[error] " + "x" * 1_000_000 + ": Permission denied"

    assert len(classify(exit_code=1, signal=None, stderr=stderr).message) == 500
