"""The stand-in is ffmpeg with GPUs, to an agent that cannot look behind it."""

import itertools
import subprocess
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.retry import FailureClass
from tests.gpus.standin import (
    Behaviour,
    Mood,
    encode_runs,
    hardware_runs,
    set_behaviour,
    write_standin,
)
from tests.media.specs import FFMPEG, command, make_clip, plan, run
from tests.waiting import wait_until
from workers.ffmpeg.binary import encoder_names, version
from workers.ffmpeg.command import transcode
from workers.ffmpeg.failures import classify
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.probe import probe
from workers.ffmpeg.process import FfmpegProcess, ProcessEnd
from workers.ffmpeg.target import CPU, Coded, Target
from workers.ffmpeg.verify import differences
from workers.ffmpeg.video_encoders import has_encoder
from workers.hardware.decoders import decode_command, decodes_of
from workers.hardware.trial import Encode, Trial, try_command

NODE = "/dev/dri/renderD128"
NVENC = Target(hardware=Hardware.NVENC, address="0")
SECOND = Target(hardware=Hardware.NVENC, address="1")
QSV = Target(hardware=Hardware.QSV, address=NODE)
VAAPI = Target(hardware=Hardware.VAAPI, address=NODE)
TARGETS = (NVENC, QSV, VAAPI)
MOODS: list[Mood] = ["no_encoder", "no_session", "no_device", "driver_too_old"]
QUIET = ["-loglevel", "error", "-f", "lavfi"]
SOURCE_CLIP = (
    *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=0.6"),
    *("-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"),
)
WORKING: Behaviour = {"nvenc": {"0": "works"}, "qsv": {NODE: "works"}, "vaapi": {NODE: "works"}}


def argv(ffmpeg: Path, target: Target, **changes: Any) -> tuple[str, ...]:
    """An encode of half a second on the target."""
    asked: dict[str, Any] = {"width": 160, "height": 96}
    destination = ffmpeg.parent / f"out.{changes.get('container', 'mp4')}"
    return command(destination=destination, ffmpeg=ffmpeg, target=target, **(asked | changes))


def encode(ffmpeg: Path, target: Target, **changes: Any) -> tuple[ProcessEnd, str]:
    """How such an encode ends and what it says."""
    return run(argv(ffmpeg, target, **changes))


def able(target: Target) -> Target:
    """The same, once it was seen to decode H.264."""
    return replace(target, decodes=frozenset({Coded(codec="h264", bit_depth=8)}))


def works(target: Target) -> Trial:
    """A trial of H.264 that went well."""
    encode = Encode(device="gpu0", target=target, codec=Codec.H264, is_ten_bit=False)
    return Trial(encode=encode, works=True)


def transcoded(ffmpeg: Path, clip: Path, target: Target) -> tuple[ProcessEnd, str, Plan]:
    """How a transcode of a file ends, what it says, and what it should make."""
    made = plan(probe(str(clip)), width=160, height=120, audio="none", fps=None)
    end, log = run(
        transcode(
            made,
            ffmpeg=ffmpeg,
            source=str(clip),
            destination=ffmpeg.parent / "out.mp4",
            threads=1,
            target=target,
        )
    )
    return end, log, made


@pytest.mark.parametrize("rate", ["crf", "bits", "live", "source"])
@pytest.mark.parametrize(
    ("target", "codec"),
    [pair for pair in itertools.product(TARGETS, Codec) if has_encoder(*pair)],
    ids=lambda value: value.hardware if isinstance(value, Target) else value,
)
def test_working_gpu_encodes_what_was_asked(
    tmp_path: Path, target: Target, codec: Codec, rate: str
) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour=WORKING)
    rates: dict[str, dict[str, Any]] = {
        "crf": {},
        "bits": {"crf": None, "bits_per_second": 300_000},
        "live": {"crf": None, "bits_per_second": 300_000, "live": True},
        "source": {"live": True, "fps": None},
    }
    changes = rates[rate]

    end, log = encode(ffmpeg, target, codec=codec, **changes)

    assert end.exit_code == 0, log
    facts = probe(str(ffmpeg.parent / "out.mp4"), count_frames=True)
    made = plan(codec=codec, width=160, height=96, **changes)
    assert differences(made, made.pictures[0], facts) == []


@pytest.mark.parametrize("mood", MOODS)
@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.hardware)
def test_failing_gpu_fails_as_such_in_ffmpegs_words(
    tmp_path: Path, target: Target, mood: Mood
) -> None:
    behaviour: Behaviour = {target.hardware.value: {str(target.address): mood}}
    ffmpeg = write_standin(tmp_path / "gpus", behaviour=behaviour)

    end, log = encode(ffmpeg, target)

    found = classify(exit_code=end.exit_code, signal=end.signal, stderr=log)
    # What a GPU cannot encode at all, QSV and VAAPI call what it cannot encode now.
    is_limit = mood == "no_encoder" and target.hardware is not Hardware.NVENC
    expected = FailureClass.INCAPABLE if is_limit else FailureClass.HARDWARE
    assert found.failure_class is expected, log
    assert end.exit_code not in (0, None)
    assert not (ffmpeg.parent / "out.mp4").exists()


@pytest.mark.parametrize("hardware", [Hardware.QSV, Hardware.VAAPI])
def test_real_ffmpeg_says_and_ends_the_same_without_the_device(
    tmp_path: Path, hardware: Hardware
) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour={})
    command = argv(ffmpeg, Target(hardware=hardware, address="/dev/dri/absent"))

    end, log = run(command)
    real_end, real_log = run((str(FFMPEG), *command[1:]))

    assert end == real_end
    assert classify(exit_code=end.exit_code, signal=None, stderr=log) == classify(
        exit_code=real_end.exit_code, signal=None, stderr=real_log
    )


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.hardware)
def test_codec_that_a_gpu_lacks_fails_and_others_work(tmp_path: Path, target: Target) -> None:
    behaviour: Behaviour = {target.hardware.value: {str(target.address): {"fail_codecs": ["av1"]}}}
    ffmpeg = write_standin(tmp_path / "gpus", behaviour=behaviour)

    end, log = encode(ffmpeg, target, codec="av1")

    found = classify(exit_code=end.exit_code, signal=None, stderr=log)
    assert found.failure_class is FailureClass.INCAPABLE
    assert encode(ffmpeg, target, codec="h264")[0].exit_code == 0


def test_gpu_that_is_not_there_fails_and_its_neighbour_works(tmp_path: Path) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour=WORKING)

    end, log = encode(ffmpeg, SECOND)

    assert (end.exit_code, "No capable devices found" in log) == (187, True)
    assert encode(ffmpeg, NVENC)[0].exit_code == 0


@pytest.mark.parametrize(("width", "height"), [(144, 96), (160, 48)])
def test_frames_too_small_for_nvenc_are_refused_by_it_alone(
    tmp_path: Path, width: int, height: int
) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour=WORKING)
    size = {"width": width, "height": height}

    end, log = encode(ffmpeg, NVENC, **size)

    failure = classify(exit_code=end.exit_code, signal=None, stderr=log)
    assert failure.failure_class is FailureClass.INCAPABLE
    assert failure.message == (
        "InitializeEncoder failed: invalid param (8): "
        "Frame Dimension less than the minimum supported value."
    )
    assert encode(ffmpeg, VAAPI, **size)[0].exit_code == 0


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.hardware)
def test_gpu_of_8_bits_refuses_deep_pictures_and_no_others(tmp_path: Path, target: Target) -> None:
    behaviour: Behaviour = {target.hardware.value: {str(target.address): "eight_bit"}}
    ffmpeg = write_standin(tmp_path / "gpus", behaviour=behaviour)
    shallow, deep = (
        run(
            try_command(
                ffmpeg, Encode(device="", target=target, codec=Codec.HEVC, is_ten_bit=is_deep)
            )
        )
        for is_deep in (False, True)
    )

    assert shallow[0].exit_code == 0, shallow[1]
    found = classify(exit_code=deep[0].exit_code, signal=None, stderr=deep[1])
    assert found.failure_class is FailureClass.INCAPABLE


def test_gpu_with_one_session_refuses_a_second_until_the_first_is_over(tmp_path: Path) -> None:
    folder = tmp_path / "gpus"
    ffmpeg = write_standin(folder, behaviour={"nvenc": {"0": "one_session"}})
    process = FfmpegProcess(argv(ffmpeg, NVENC, duration_seconds=600))
    identity = process.start()
    assert identity is not None
    wait_until(lambda: Path(f"/proc/{identity.pid}/exe").readlink() == FFMPEG.resolve())

    end, log = encode(ffmpeg, NVENC)

    assert (end.exit_code, "OpenEncodeSessionEx failed: out of memory" in log) == (187, True)
    process.close()
    assert encode(ffmpeg, NVENC)[0].exit_code == 0


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.hardware)
def test_gpu_decodes_scales_and_encodes_what_was_asked(tmp_path: Path, target: Target) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour=WORKING)
    clip = make_clip(tmp_path / "in.mkv", *SOURCE_CLIP)

    end, log, made = transcoded(ffmpeg, clip, able(target))

    assert end.exit_code == 0, log
    assert "-hwaccel" in hardware_runs(ffmpeg.parent)[-1].argv
    facts = probe(str(ffmpeg.parent / "out.mp4"), count_frames=True)
    assert differences(made, made.pictures[0], facts) == []


@pytest.mark.parametrize(
    ("target", "failure"), [(NVENC, None), (VAAPI, None), (QSV, FailureClass.INCAPABLE)]
)
def test_gpu_that_decodes_nothing_takes_frames_of_the_cpu_where_ffmpeg_can_fall_back(
    tmp_path: Path, target: Target, failure: FailureClass | None
) -> None:
    moods: Behaviour = {target.hardware.value: {str(target.address): "no_decoder"}}
    ffmpeg = write_standin(tmp_path / "gpus", behaviour=moods)
    clip = make_clip(tmp_path / "in.mkv", *SOURCE_CLIP)

    end, log, _ = transcoded(ffmpeg, clip, able(target))

    ended = end.exit_code or 0
    found = classify(exit_code=ended, signal=None, stderr=log) if ended else None
    assert (found and found.failure_class) == failure, log


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.hardware)
@pytest.mark.parametrize("filters", ["scale=64:64", "pad=800:800", "transpose"])
def test_filter_of_the_cpu_does_not_take_frames_of_a_gpu(
    tmp_path: Path, target: Target, filters: str
) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour=WORKING)
    command = list(decode_command(ffmpeg, decodes_of([works(target)])[0]))
    at = command.index("-vf") + 1
    command[at] = f"{filters},{command[at]}"

    end, log = run(tuple(command))

    assert end.exit_code == 218
    assert "Impossible to convert between the formats" in log


def test_crash_of_a_driver_ends_by_its_signal(tmp_path: Path) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour={"nvenc": {"0": "crash"}})

    end, _ = encode(ffmpeg, NVENC)

    assert (end.exit_code, end.signal) == (None, 11)


def test_hanging_gpu_hears_only_a_kill(tmp_path: Path) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour={"nvenc": {"0": "hang"}})
    process = FfmpegProcess(argv(ffmpeg, NVENC), timeout_seconds=1.0, grace_seconds=0.3)

    end = process.run(lambda _: None, BoundedLog())

    assert (end.signal, end.timed_out) == (9, True)


def test_behaviour_changes_while_an_encode_runs_without_touching_it(tmp_path: Path) -> None:
    folder = tmp_path / "gpus"
    ffmpeg = write_standin(folder, behaviour={"nvenc": {"0": "hang"}})
    process = FfmpegProcess(argv(ffmpeg, NVENC))
    identity = process.start()
    assert identity is not None
    wait_until(lambda: hardware_runs(folder))
    set_behaviour(folder, WORKING)

    assert encode(ffmpeg, NVENC)[0].exit_code == 0
    assert process.identity == identity
    assert [entry.behaviour for entry in hardware_runs(folder)] == ["hang", "works"]
    process.close()


def test_encodes_of_the_cpu_are_in_the_log_too(tmp_path: Path) -> None:
    folder = tmp_path / "gpus"
    ffmpeg = write_standin(folder, behaviour=WORKING)
    encode(ffmpeg, CPU, codec="hevc")
    encode(ffmpeg, QSV, codec="hevc")

    runs = [(entry.hardware, entry.gpu, entry.codec) for entry in encode_runs(folder)]
    assert runs == [("cpu", None, "hevc"), ("qsv", NODE, "hevc")]
    assert [entry.hardware for entry in hardware_runs(folder)] == ["qsv"]


def test_encoders_that_are_missing_are_not_listed(tmp_path: Path) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour={}, missing_encoders=("nvenc", "libx265"))

    gone = encoder_names(FFMPEG) - encoder_names(ffmpeg)
    assert gone == {"h264_nvenc", "hevc_nvenc", "av1_nvenc", "libx265"}


def test_log_says_which_gpu_ran_what(tmp_path: Path) -> None:
    folder = tmp_path / "gpus"
    moods: Behaviour = {"nvenc": {"0": "works", "1": "no_session"}, "vaapi": {NODE: "works"}}
    ffmpeg = write_standin(folder, behaviour=moods)
    before = time.time()
    for target, codec in ((NVENC, "h264"), (SECOND, "hevc"), (VAAPI, "h264")):
        encode(ffmpeg, target, codec=codec)
    runs = hardware_runs(folder)

    assert [(entry.hardware, entry.gpu, entry.codec) for entry in runs] == [
        ("nvenc", "0", "h264"),
        ("nvenc", "1", "hevc"),
        ("vaapi", NODE, "h264"),
    ]
    assert before <= runs[0].started_at <= runs[1].started_at <= time.time()
    assert tuple(runs[0].argv) == argv(ffmpeg, NVENC)[1:]


def test_process_that_encodes_is_the_one_that_was_started(tmp_path: Path) -> None:
    folder = tmp_path / "gpus"
    ffmpeg = write_standin(folder, behaviour=WORKING)
    process = FfmpegProcess(argv(ffmpeg, NVENC, duration_seconds=600))
    identity = process.start()
    assert identity is not None
    program = Path(f"/proc/{identity.pid}/exe")

    wait_until(lambda: program.readlink() == FFMPEG.resolve())
    assert hardware_runs(folder)[0].pid == identity.pid
    process.close()


@pytest.mark.parametrize(
    "arguments",
    [
        ["-hide_banner", "-version"],
        ["-hide_banner", "-encoders"],
        ["-hide_banner", "-h", "encoder=h264_nvenc"],
        [*QUIET, "-i", "testsrc2=d=0.2:s=64x64", "-c:v", "libx264", "-f", "framecrc", "-"],
    ],
)
def test_whatever_uses_no_hardware_is_the_real_ffmpegs(
    tmp_path: Path, arguments: list[str]
) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour={})
    said = [
        subprocess.run([str(program), *arguments], capture_output=True, check=True, env={})
        for program in (ffmpeg, FFMPEG)
    ]

    assert said[0].stdout == said[1].stdout
    assert hardware_runs(ffmpeg.parent) == []


def test_agent_takes_it_for_an_ffmpeg(tmp_path: Path) -> None:
    assert version(write_standin(tmp_path / "gpus", behaviour={})) == version(FFMPEG)


def test_quiet_failure_has_no_level_marks(tmp_path: Path) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour={"nvenc": {"0": "no_session"}})
    command = [str(ffmpeg), *QUIET, "-i", "testsrc2=s=256x256", "-c:v", "h264_nvenc"]
    command += ["-f", "null", "-"]

    end = subprocess.run(command, capture_output=True, text=True, check=False, env={})

    assert end.returncode == 187
    assert "[error]" not in end.stderr
    found = classify(exit_code=187, signal=None, stderr=end.stderr)
    assert found.failure_class is FailureClass.HARDWARE
