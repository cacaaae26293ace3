"""One encoder tried on a few frames: its name alone proves nothing."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.retry import FailureClass
from workers.box.view import EVERYTHING, View
from workers.ffmpeg.child import MINIMAL_ENVIRONMENT
from workers.ffmpeg.failures import classify
from workers.ffmpeg.target import (
    Target,
    device_options,
    encoder_name,
    encoder_options,
    pixel_filters,
)
from workers.hardware.bounded import run_bounded

TRY_SECONDS: Final = 20.0
"""CUDA alone may take ten to start on a host with many GPUs and no persistence daemon."""
REASON_LENGTH: Final = 200
_PICTURE: Final = "testsrc2=size=320x240:rate=30"  # NVENC and some QSV encoders refuse smaller ones
_FRAMES: Final = "5"
_NVENC_SUMMARY: Final = "No capable devices found"  # follows what a GPU lacks
_VAGUE: Final = (FailureClass.ENCODER, FailureClass.UNSUPPORTED)
# what makes the try short; the codec's other flags do not change whether it works
_FASTEST: Final = {
    Codec.H264: ("-preset", "ultrafast"),
    Codec.HEVC: ("-preset", "ultrafast", "-x265-params", "log-level=error"),
    Codec.AV1: ("-preset", "12"),
    Codec.VP9: ("-deadline", "realtime", "-cpu-used", "8"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Encode:
    """What a device may be able to do: one codec, at 8 or 10 bits, spoken to in one way."""

    device: str
    target: Target
    codec: Codec
    is_ten_bit: bool

    @property
    def encoder(self) -> str:
        """ffmpeg's name of the encoder."""
        return encoder_name(self.target, self.codec)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """Whether it can; ``reason`` says why not, in one line, and is None where it works."""

    encode: Encode
    works: bool
    reason: str | None = None
    is_hung: bool = False

    @property
    def pair(self) -> tuple[Hardware, Codec]:
        """The encoder family and the codec."""
        return self.encode.target.hardware, self.encode.codec


def try_command(ffmpeg: Path, encode: Encode) -> tuple[str, ...]:
    """The argv that encodes a few frames into nothing."""
    target = encode.target
    filters = ("scale", *pixel_filters(target, is_ten_bit=encode.is_ten_bit))
    return (
        *(str(ffmpeg), "-hide_banner", "-nostdin", "-loglevel", "level+warning"),
        *device_options(target),
        *("-f", "lavfi", "-i", _PICTURE, "-frames:v", _FRAMES, "-vf", ",".join(filters)),
        *("-c:v", encode.encoder, *encoder_options(target)),
        *(_software_options(encode) if target.hardware is Hardware.CPU else ()),
        *("-f", "null", "-"),
    )


def _software_options(encode: Encode) -> tuple[str, ...]:
    # "+" refuses the conversion that ffmpeg would slip in before an encoder built for 8 bits only.
    pixels = "+yuv420p10le" if encode.is_ten_bit else "+yuv420p"
    return (*_FASTEST[encode.codec], "-pix_fmt", pixels)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """How long one trial may take, and when (on the monotonic clock) none may go on."""

    try_seconds: float
    until: float

    def left_seconds(self) -> float:
        """What a trial that starts now may take; not above 0 where it may not start."""
        return min(self.try_seconds, self.until - time.monotonic())


def run_trial(ffmpeg: Path, encode: Encode, patience: Patience, view: View = EVERYTHING) -> Trial:
    """Try it, by a process that sees this, for as long as ``patience`` allows."""
    outcome = attempted(try_command(ffmpeg, encode), patience, view)
    return Trial(encode=encode, works=outcome.works, reason=outcome.reason, is_hung=outcome.is_hung)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one trial ended; the fields are those of ``Trial``."""

    works: bool
    reason: str | None = None
    is_hung: bool = False


def attempted(
    command: Sequence[str],
    patience: Patience,
    view: View = EVERYTHING,
    tools: Iterable[Path] = (),
) -> Outcome:
    """Run an ffmpeg for as long as ``patience`` allows, and say in a line why it failed."""
    seconds = patience.left_seconds()
    if seconds <= 0:
        return Outcome(works=False, reason="not tried: earlier tests took too long")
    try:
        how = view.command(command, environment=MINIMAL_ENVIRONMENT, tools=tools)
        end = run_bounded(how, timeout_seconds=seconds)
    except OSError as error:
        return Outcome(works=False, reason=str(error))
    if end.return_code is None:
        return Outcome(works=False, reason=f"took longer than {seconds:.0f} s", is_hung=True)
    if end.return_code == 0:
        return Outcome(works=True)
    return Outcome(works=False, reason=_reason(end.return_code, end.stderr))


def _reason(return_code: int, stderr: str) -> str:
    exit_code, signal = (return_code, None) if return_code > 0 else (None, -return_code)
    failure = classify(exit_code=exit_code, signal=signal, stderr=stderr)
    # What comes first is nearest to the cause; the rest says that the encoder did not open.
    if _NVENC_SUMMARY in failure.message:
        failure = classify(exit_code=exit_code, signal=signal, stderr=_first_line(stderr, "["))
    elif failure.failure_class in _VAGUE:
        first = _first_line(stderr, "[error]", "[fatal]")
        failure = classify(exit_code=exit_code, signal=signal, stderr=first or stderr)
    return failure.message.removeprefix(f"ffmpeg ended with exit code {exit_code}: ")[
        :REASON_LENGTH
    ]


def _first_line(stderr: str, *marks: str) -> str:
    lines = stderr.splitlines()
    return next((line for line in lines if any(mark in line for mark in marks)), "")
