"""What GPUs really decode: each kind of picture is tried the way a job goes through a GPU.

A sample of each, a few frames in ``samples``, is decoded into the GPU's memory, scaled there and
encoded. Where any of that fails, jobs decode and scale on the CPU.
"""

import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Final

from ffrtmp.domain.media import Codec, FrameSize, Hardware
from workers.box.view import EVERYTHING, View
from workers.ffmpeg.gpu_filters import decoder_options, memory_options, scaled
from workers.ffmpeg.target import (
    Coded,
    Target,
    device_options,
    encoder_name,
    encoder_options,
)
from workers.hardware.trial import TRY_SECONDS, Patience, Trial, attempted

TOTAL_SECONDS: Final = 40.0
KINDS: Final = (
    Coded(codec="h264", bit_depth=8),
    Coded(codec="hevc", bit_depth=8),
    Coded(codec="hevc", bit_depth=10),
    Coded(codec="av1", bit_depth=8),
    Coded(codec="av1", bit_depth=10),
    Coded(codec="vp9", bit_depth=8),
    Coded(codec="mpeg2video", bit_depth=8),
)
"""What is tried."""
_SAMPLES: Final = Path(__file__).parent / "samples"
_SCALED: Final = FrameSize(width=320, height=240)
"""Larger than a sample, and as large as what encoders are tried with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Decode:
    """What a device may be able to do: one kind of picture, decoded, scaled and encoded again.

    ``codec`` is one that the device encodes at that depth.
    """

    device: str
    target: Target
    coded: Coded
    codec: Codec


@dataclass(frozen=True, slots=True, kw_only=True)
class DecodeTrial:
    """Whether it can; ``reason`` says why not, in one line, and is None where it works."""

    decode: Decode
    works: bool
    reason: str | None = None


def decodes_of(trials: Iterable[Trial]) -> tuple[Decode, ...]:
    """All that GPUs might decode to encode it again, going by the encoders that work."""
    able: dict[tuple[str, Target, int], Codec] = {}
    for trial in trials:
        encode = trial.encode
        if trial.works and encode.target.hardware is not Hardware.CPU:
            depth = 10 if encode.is_ten_bit else 8
            able.setdefault((encode.device, encode.target, depth), encode.codec)
    return tuple(
        Decode(device=device, target=target, coded=coded, codec=codec)
        for (device, target, depth), codec in able.items()
        for coded in KINDS
        if coded.bit_depth == depth
    )


def try_decoders(
    ffmpeg: Path,
    decodes: Sequence[Decode],
    *,
    known: Collection[Decode] = (),
    view: View = EVERYTHING,
    try_seconds: float = TRY_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
) -> tuple[DecodeTrial, ...]:
    """A trial of each, in order; those in ``known`` count as working without a test."""
    unknown = [decode for decode in decodes if decode not in known]
    patience = Patience(try_seconds=try_seconds, until=time.monotonic() + total_seconds)
    tried = {trial.decode: trial for trial in _tried(ffmpeg, unknown, patience, view)}
    return tuple(tried.get(d) or DecodeTrial(decode=d, works=True) for d in decodes)


def sample(coded: Coded) -> Path:
    """The file of a kind."""
    return _SAMPLES / f"{coded.codec}-{coded.bit_depth}.mkv"


def decode_command(ffmpeg: Path, decode: Decode) -> tuple[str, ...]:
    """The argv that decodes, scales and encodes on the device; it fails where frames leave it."""
    target, depth = decode.target, decode.coded.bit_depth
    return (
        *(str(ffmpeg), "-hide_banner", "-nostdin", "-loglevel", "level+warning"),
        *("-abort_on", "empty_output", *device_options(target), *memory_options(target)),
        *(*decoder_options(target), "-i", f"file:{sample(decode.coded)}"),
        *("-vf", scaled(target, _SCALED, bit_depth=depth)),
        *("-c:v", encoder_name(target, decode.codec), *encoder_options(target)),
        *("-f", "null", "-"),
    )


def _tried(
    ffmpeg: Path, decodes: Sequence[Decode], patience: Patience, view: View
) -> Iterator[DecodeTrial]:
    """GPUs side by side, on each one test after the other."""
    gpus = [list(group) for _, group in groupby(decodes, key=lambda decode: decode.device)]
    with ThreadPoolExecutor(max(1, len(gpus)), "try-gpu") as pool:
        of_gpus = pool.map(lambda gpu: list(_in_turn(ffmpeg, gpu, patience, view)), gpus)
        yield from (trial for gpu in of_gpus for trial in gpu)


def _in_turn(
    ffmpeg: Path, decodes: Sequence[Decode], patience: Patience, view: View
) -> Iterator[DecodeTrial]:
    """A driver that let one test hang gets no more: each would cost as long."""
    hung: dict[Target, Coded] = {}
    for decode in decodes:
        culprit = hung.get(decode.target)
        if culprit is not None:
            yield DecodeTrial(decode=decode, works=False, reason=f"not tried: {culprit} hung")
            continue
        tools = (sample(decode.coded),)
        outcome = attempted(decode_command(ffmpeg, decode), patience, view, tools)
        if outcome.is_hung:
            hung[decode.target] = decode.coded
        yield DecodeTrial(decode=decode, works=outcome.works, reason=outcome.reason)
