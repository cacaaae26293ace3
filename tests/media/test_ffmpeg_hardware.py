"""ffmpeg understands every command line for hardware, and fails only for want of the device."""

import functools
import itertools
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.media import Codec, Hardware, Preset
from ffrtmp.domain.retry import FailureClass
from tests.media.specs import FFMPEG, command, run
from workers.ffmpeg.failures import classify
from workers.ffmpeg.target import Target, encoder_name
from workers.ffmpeg.video_encoders import has_encoder

ABSENT = "/dev/dri/absent"
TARGETS = (
    Target(hardware=Hardware.NVENC, address="9"),
    Target(hardware=Hardware.QSV, address=ABSENT),
    Target(hardware=Hardware.VAAPI, address=ABSENT),
)
ENCODERS = [pair for pair in itertools.product(TARGETS, Codec) if has_encoder(*pair)]
IDS = [encoder_name(*pair) for pair in ENCODERS]
WORST = {Codec.H264: 51, Codec.HEVC: 51, Codec.AV1: 63, Codec.VP9: 63}
COMMAND_OPTIONS = {"-c:v", "-tag:v", "-b:v", "-force_key_frames"}
"""Those that ffmpeg itself takes, with the name of a stream."""
OPTION_ERRORS = re.compile(
    r"Unrecognized option|Option not found|Error setting option|Undefined constant"
    r"|Error applying encoder options|out of range|not used for any stream|Unable to parse"
)


def specs(codec: Codec) -> Iterator[dict[str, Any]]:
    """One spec for every choice that changes the options of an encoder."""
    yield from ({"preset": preset} for preset in Preset)
    yield from ({"crf": crf} for crf in (0, WORST[codec]))
    for live in (False, True):
        yield {"live": live}
        yield {"live": live, "crf": None, "bits_per_second": 300_000}
        yield {"live": live, "fps": None}
    yield {"crf": 30, "max_bits_per_second": 300_000}


def argv(target: Target, codec: Codec, folder: Path, **changes: Any) -> tuple[str, ...]:
    """A command line over a test source that is large enough for every device."""
    asked: dict[str, Any] = {"codec": codec, "width": 256, "height": 256, "audio": "none"}
    destination = folder / "out.mp4"
    return command(destination=destination, target=target, **(asked | changes))


def without_device(arguments: tuple[str, ...]) -> tuple[str, ...]:
    """The same up to the encoder, which ffmpeg does not reach where it opens the device first."""
    kept = list(arguments)
    for option in ("-vaapi_device", "-qsv_device"):
        if option in kept:
            at = kept.index(option)
            del kept[at : at + 2]
    return tuple(value.removesuffix(",hwupload") for value in kept)


@functools.cache
def options_of(encoder: str) -> frozenset[str]:
    """The options that this ffmpeg lists for the encoder, and those that every encoder has."""
    own = _help(f"encoder={encoder}")
    _, _, generic = _help("full").partition("AVCodecContext AVOptions:")
    shared, _, _ = generic.partition(" AVOptions:")
    return frozenset(
        re.findall(r"^  (-\S+)", own, re.MULTILINE) + re.findall(r"^  (-\S+)", shared, re.MULTILINE)
    )


def _help(topic: str) -> str:
    end = subprocess.run(
        [str(FFMPEG), "-hide_banner", "-h", topic], capture_output=True, text=True, check=True
    )
    return end.stdout


@pytest.mark.parametrize(("target", "codec"), ENCODERS, ids=IDS)
def test_every_option_is_one_of_the_encoder(target: Target, codec: Codec, tmp_path: Path) -> None:
    used: set[str] = set()
    for changes in specs(codec):
        arguments = argv(target, codec, tmp_path, **changes)
        own = arguments[arguments.index("-c:v") : arguments.index("-an")]
        used |= {value for value in own if re.fullmatch(r"-[a-z].*", value)}

    assert used - COMMAND_OPTIONS - options_of(encoder_name(target, codec)) == set()


@pytest.mark.parametrize(("target", "codec"), ENCODERS, ids=IDS)
def test_ffmpeg_takes_every_option_and_value(target: Target, codec: Codec, tmp_path: Path) -> None:
    for changes in specs(codec):
        _, log = run(without_device(argv(target, codec, tmp_path, **changes)))

        assert OPTION_ERRORS.search(log) is None, log


@pytest.mark.parametrize(("target", "codec"), ENCODERS, ids=IDS)
def test_host_without_the_device_fails_for_the_device(
    target: Target, codec: Codec, tmp_path: Path
) -> None:
    end, log = run(argv(target, codec, tmp_path))

    found = classify(exit_code=end.exit_code, signal=end.signal, stderr=log)
    assert found.failure_class is FailureClass.HARDWARE, log
