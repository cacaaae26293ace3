"""The devices of this host that encode, as the master, the agent and people need to know them."""

import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ffrtmp.domain.device import CPU_DEVICE, Device
from ffrtmp.domain.media import Codec, Hardware
from ffrtmp.domain.placement import GSTREAMER_NEED, capabilities
from workers.box.box import NO_BOX, Box
from workers.box.view import View
from workers.ffmpeg.binary import version
from workers.ffmpeg.target import CPU, Target
from workers.gstreamer.found import Absent, Gstreamer, find_gstreamer, known_gstreamer
from workers.hardware import host
from workers.hardware.decoders import Decode, DecodeTrial, decodes_of, try_decoders
from workers.hardware.encoders import encodes_of, try_encoders
from workers.hardware.gpus import Gpu
from workers.hardware.remembered import remember, remembered
from workers.hardware.trial import Encode, Trial

Targets = Mapping[str, Mapping[Hardware, Target]]
"""By device id and encoder family: how to speak to an encoder that works, and what is decoded
for it."""
MAX_GPUS_SHOWN: Final = 64
"""What a registration says anything of: it has to fit a request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDevices:
    """What test encodes showed of this host.

    ``devices`` begins with the CPU and has only those GPUs on which some encoder works; ``gpus``,
    ``trials`` and ``decoded`` are all that was looked at.
    """

    devices: tuple[Device, ...]
    targets: Targets
    gpus: tuple[Gpu, ...]
    trials: tuple[Trial, ...]
    gstreamer: Gstreamer | Absent
    decoded: tuple[DecodeTrial, ...] = ()

    def facts(self) -> dict[str, Any]:
        """For ``NodeRegistration.hardware``, JSON-able: ``gpus``, ``encoders``, ``decoders`` and
        ``gstreamer``."""
        shown = self.gpus[:MAX_GPUS_SHOWN]
        names = {CPU_DEVICE, *(gpu.id for gpu in shown)}
        return {
            "gpus": [gpu.facts() | _summary(_of(self.trials, gpu.id)) for gpu in shown],
            "encoders": [_plain(t) for t in self.trials if t.encode.device in names],
            "decoders": [_decoded(t) for t in self.decoded if t.decode.device in names],
            "gstreamer": _said(self.gstreamer),
        }


def found_devices(
    ffmpeg: Path,
    *,
    gpus: Sequence[Gpu],
    cpu_slots: int,
    gpu_slots: int,
    cache_folder: Path | None = None,
    box: Box = NO_BOX,
) -> FoundDevices:
    """Try every encoder of the CPU and of these GPUs, and what these GPUs decode.

    FfmpegMissing if ffmpeg does not run.

    All run in ``box``, so what does not work there is not offered. Trials that worked are
    remembered in ``cache_folder`` for as long as ffmpeg, box, driver and card stay the same; those
    that did not are run again, because drivers get repaired. None runs all.
    """
    wanted = {CPU_DEVICE: (CPU,), **{gpu.id: gpu.targets for gpu in gpus}}
    identities = {CPU_DEVICE: "", **{gpu.id: gpu.identity for gpu in gpus}}
    with box.empty() as view:
        key = f"{ffmpeg} {version(ffmpeg)} {ffmpeg.stat().st_mtime_ns} {box.name}"
        trials, decoded = _trials(ffmpeg, wanted, identities, view, cache_folder, key)
        gstreamer = _gstreamer(cache_folder, view, box.name)
    cpu = Device(
        id=CPU_DEVICE,
        name=host.cpu_name(),
        slots=cpu_slots,
        capabilities=_cpu_capabilities(_of(trials, CPU_DEVICE), gstreamer),
    )
    found = [
        Device(id=gpu.id, name=gpu.name, slots=gpu_slots, capabilities=able)
        for gpu in gpus
        if (able := _capabilities(_of(trials, gpu.id)))
    ]
    return FoundDevices(
        devices=(cpu, *found),
        targets={device.id: _targets(_of(trials, device.id), decoded) for device in (cpu, *found)},
        gpus=tuple(gpus),
        trials=trials,
        gstreamer=gstreamer,
        decoded=decoded,
    )


def working_pairs(
    trials: Iterable[Trial], *, is_ten_bit: bool = False
) -> frozenset[tuple[Hardware, Codec]]:
    """The encoders that work, at 8 bits or at 10."""
    return frozenset(t.pair for t in trials if t.works and t.encode.is_ten_bit is is_ten_bit)


def _trials(
    ffmpeg: Path,
    wanted: Mapping[str, Sequence[Target]],
    identities: Mapping[str, str],
    view: View,
    cache_folder: Path | None,
    key: str,
) -> tuple[tuple[Trial, ...], tuple[DecodeTrial, ...]]:
    before = frozenset() if cache_folder is None else remembered(cache_folder, ffmpeg=key)
    encodes = {
        encode: _word(encode, identities[device])
        for device, targets in wanted.items()
        for encode in encodes_of(device, targets)
    }
    trials = try_encoders(
        ffmpeg, wanted, known={e for e, word in encodes.items() if word in before}, view=view
    )
    decodes = {d: _decode_word(d, identities[d.device]) for d in decodes_of(trials)}
    known = {decode for decode, word in decodes.items() if word in before}
    decoded = try_decoders(ffmpeg, tuple(decodes), known=known, view=view)
    now = {encodes[t.encode] for t in trials if t.works}
    now |= {decodes[t.decode] for t in decoded if t.works}
    if cache_folder is not None and now != before:
        remember(cache_folder, now, ffmpeg=key)
    return trials, decoded


def _word(encode: Encode, identity: str) -> str:
    bits = 10 if encode.is_ten_bit else 8
    return f"{encode.encoder} {bits} bit at {encode.target.address} of {identity}"


def _decode_word(decode: Decode, identity: str) -> str:
    target = decode.target
    return f"{decode.coded} decoded by {target.hardware} at {target.address} of {identity}"


def _of(trials: Iterable[Trial], device: str) -> list[Trial]:
    return [trial for trial in trials if trial.encode.device == device]


def _capabilities(trials: Sequence[Trial]) -> tuple[str, ...]:
    return capabilities(working_pairs(trials), ten_bit=working_pairs(trials, is_ten_bit=True))


def _cpu_capabilities(trials: Sequence[Trial], gstreamer: Gstreamer | Absent) -> tuple[str, ...]:
    able = _capabilities(trials)
    return (*able, GSTREAMER_NEED) if isinstance(gstreamer, Gstreamer) else able


def _gstreamer(cache_folder: Path | None, view: View, box: str) -> Gstreamer | Absent:
    if cache_folder is not None:
        return known_gstreamer(cache_folder, view, box=box)
    with tempfile.TemporaryDirectory() as folder:
        return find_gstreamer(Path(folder), view)


def _said(gstreamer: Gstreamer | Absent) -> dict[str, Any]:
    reason = gstreamer.reason if isinstance(gstreamer, Absent) else None
    return {"works": reason is None, "reason": reason}


def _targets(trials: Iterable[Trial], decoded: Iterable[DecodeTrial]) -> dict[Hardware, Target]:
    targets = {t.encode.target for t in trials if t.works}
    able = [t.decode for t in decoded if t.works]
    return {
        target.hardware: replace(
            target, decodes=frozenset(d.coded for d in able if d.target == target)
        )
        for target in targets
    }


def _decoded(trial: DecodeTrial) -> dict[str, Any]:
    return {
        "device": trial.decode.device,
        "hardware": trial.decode.target.hardware.value,
        "codec": trial.decode.coded.codec,
        "bits": trial.decode.coded.bit_depth,
        "works": trial.works,
        "reason": trial.reason,
    }


def _plain(trial: Trial) -> dict[str, Any]:
    return {
        "device": trial.encode.device,
        "encoder": trial.encode.encoder,
        "hardware": trial.encode.target.hardware.value,
        "codec": trial.encode.codec.value,
        "bits": 10 if trial.encode.is_ten_bit else 8,
        "works": trial.works,
        "reason": trial.reason,
    }


def _summary(trials: Sequence[Trial]) -> dict[str, Any]:
    """Of one GPU: the encoders that work, and where none does, the first reason."""
    works = sorted({trial.encode.encoder for trial in trials if trial.works})
    return {"encoders": works, "reason": None if works else next(t.reason for t in trials)}
