"""Which encoders really work on a host's devices: each is tried, within a bound of time."""

import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby
from pathlib import Path
from typing import Final

from ffrtmp.domain.device import CPU_DEVICE
from ffrtmp.domain.media import Codec, Hardware
from workers.box.view import EVERYTHING, View
from workers.ffmpeg.binary import encoder_names
from workers.ffmpeg.target import Target
from workers.hardware.trial import TRY_SECONDS, Encode, Patience, Trial, run_trial

TOTAL_SECONDS: Final = 60.0
NOT_BUILT_IN: Final = "not in this ffmpeg"
_CPU_THREADS: Final = 2


def encodes_of(device: str, targets: Iterable[Target]) -> tuple[Encode, ...]:
    """All that a device might be able to do; NVENC has no VP9."""
    return tuple(
        Encode(device=device, target=target, codec=codec, is_ten_bit=is_ten_bit)
        for target in targets
        for codec in Codec
        for is_ten_bit in (False, True)
        if (target.hardware, codec) != (Hardware.NVENC, Codec.VP9)
    )


def try_encoders(
    ffmpeg: Path,
    devices: Mapping[str, Sequence[Target]],
    *,
    known: Collection[Encode] = (),
    view: View = EVERYTHING,
    try_seconds: float = TRY_SECONDS,
    total_seconds: float = TOTAL_SECONDS,
) -> tuple[Trial, ...]:
    """A trial of everything, in order; those in ``known`` count as working without a test.

    FfmpegMissing where ffmpeg does not run.
    """
    built_in = encoder_names(ffmpeg)
    every = [encode for name, targets in devices.items() for encode in encodes_of(name, targets)]
    unknown = [encode for encode in every if encode.encoder in built_in and encode not in known]
    until = time.monotonic() + total_seconds
    tried = _tried(ffmpeg, unknown, Patience(try_seconds=try_seconds, until=until), view)
    return tuple(tried.get(e) or _untried(e, built_in=e.encoder in built_in) for e in every)


def _untried(encode: Encode, *, built_in: bool) -> Trial:
    return Trial(encode=encode, works=built_in, reason=None if built_in else NOT_BUILT_IN)


def _tried(
    ffmpeg: Path, encodes: Sequence[Encode], patience: Patience, view: View
) -> dict[Encode, Trial]:
    """Devices side by side; on a GPU one test after the other: some allow few sessions at once."""
    cpu = [encode for encode in encodes if encode.device == CPU_DEVICE]
    others = [encode for encode in encodes if encode.device != CPU_DEVICE]
    gpus = [list(group) for _, group in groupby(others, key=lambda encode: encode.device)]
    with (
        ThreadPoolExecutor(_CPU_THREADS, "try-cpu") as cpu_pool,
        ThreadPoolExecutor(max(1, len(gpus)), "try-gpu") as gpu_pool,
    ):
        of_gpus = gpu_pool.map(lambda gpu: list(_in_turn(ffmpeg, gpu, patience, view)), gpus)
        of_cpu = cpu_pool.map(lambda encode: run_trial(ffmpeg, encode, patience, view), cpu)
        trials = [*of_cpu, *(trial for gpu in of_gpus for trial in gpu)]
    return {trial.encode: trial for trial in trials}


def _in_turn(
    ffmpeg: Path, encodes: Sequence[Encode], patience: Patience, view: View
) -> Iterator[Trial]:
    """A driver that let one test hang gets no more: each would cost as long."""
    hung: dict[Target, str] = {}
    for encode in encodes:
        culprit = hung.get(encode.target)
        if culprit is not None:
            yield Trial(encode=encode, works=False, reason=f"not tried: {culprit} hung")
            continue
        trial = run_trial(ffmpeg, encode, patience, view)
        if trial.is_hung:
            hung[encode.target] = encode.encoder
        yield trial
