"""ffmpeg understands what pictures that stay on a GPU are told, and fails for want of one alone."""

import re
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from ffrtmp.domain.media import FrameSize, Hardware
from ffrtmp.domain.retry import FailureClass
from tests.media.specs import BUNNY, FFMPEG, plan, run
from workers.ffmpeg.command import transcode
from workers.ffmpeg.failures import classify
from workers.ffmpeg.gpu_filters import arrival, decoder_options, scaled, stays_on_gpu
from workers.ffmpeg.probe import probe
from workers.ffmpeg.target import Coded, Target

SIZE = FrameSize(width=320, height=180)
TARGETS = (
    Target(hardware=Hardware.NVENC, address="9"),
    Target(hardware=Hardware.QSV, address="/dev/dri/absent"),
    Target(hardware=Hardware.VAAPI, address="/dev/dri/absent"),
)
FAMILIES = pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.hardware)


def said(*arguments: str) -> str:
    end = subprocess.run(
        [str(FFMPEG), "-hide_banner", *arguments], capture_output=True, text=True, check=True
    )
    return end.stdout


@FAMILIES
@pytest.mark.parametrize("depth", [8, 10])
def test_every_option_is_one_of_the_filter(target: Target, depth: int) -> None:
    name, _, options = scaled(target, SIZE, bit_depth=depth).partition("=")
    used = {option.partition("=")[0] for option in options.split(":")}

    listed = re.findall(r"^   (\w+) ", said("-h", f"filter={name}"), re.MULTILINE)
    assert used - set(listed) == set()
    pixels = re.search(r"format=(\w+)", options)
    assert pixels is not None
    assert re.search(rf"^\S+ {pixels[1]} ", said("-pix_fmts"), re.MULTILINE)


@FAMILIES
def test_ffmpeg_knows_the_way_of_decoding_and_the_memory(target: Target) -> None:
    options = decoder_options(target)
    method = options[options.index("-hwaccel") + 1]
    memory = options[options.index("-hwaccel_output_format") + 1]

    assert method in said("-hwaccels").split()
    assert re.search(rf"^\S*H\S* {memory} ", said("-pix_fmts"), re.MULTILINE)


@pytest.mark.parametrize("target", [TARGETS[0], TARGETS[2]], ids=lambda target: target.hardware)
@pytest.mark.parametrize(("depth", "pixels"), [(8, "nv12"), (10, "p010le")])
def test_frames_decoded_in_software_arrive_in_the_pixels_that_the_gpu_takes(
    target: Target, depth: int, pixels: str
) -> None:
    arriving = [name for name in arrival(target, bit_depth=depth) if name != "hwupload"]
    source = ("-f", "lavfi", "-i", "testsrc2=size=64x64", "-frames:v", "1")

    end, log = run(
        (str(FFMPEG), *source, "-vf", ",".join([*arriving, "showinfo"]), "-f", "null", "-")
    )

    assert end.exit_code == 0, log
    assert f"fmt:{pixels} " in log


@FAMILIES
def test_host_without_the_device_fails_for_the_device(target: Target, tmp_path: Path) -> None:
    able = replace(target, decodes=frozenset({Coded(codec="h264", bit_depth=8)}))
    wanted = plan(probe(str(BUNNY)), keeps_size=True, audio="none")

    end, log = run(
        transcode(
            wanted,
            ffmpeg=FFMPEG,
            source=str(BUNNY),
            destination=tmp_path / "out.mp4",
            threads=1,
            target=able,
        )
    )

    assert stays_on_gpu(wanted, able)
    found = classify(exit_code=end.exit_code, signal=end.signal, stderr=log)
    assert found.failure_class is FailureClass.HARDWARE, log
