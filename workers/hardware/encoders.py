"""Which encoders really work here: each is tried on a few frames, its name alone proves nothing."""

import contextlib
import json
import os
import subprocess
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from ffrtmp.domain.media import Codec, Hardware
from workers.ffmpeg.binary import version
from workers.ffmpeg.child import MINIMAL_ENVIRONMENT, dying_with_parent
from workers.ffmpeg.target import SOFTWARE_ENCODERS

Encoder = tuple[Hardware, Codec]

TRY_SECONDS: Final = 10.0
_FRAME_SIZE: Final = "256x256"  # NVENC and some QSV encoders refuse smaller frames
_DEVICES: Final = {
    Hardware.NVENC: Path("/dev/nvidia0"),
    Hardware.QSV: Path("/dev/dri/renderD128"),
    Hardware.VAAPI: Path("/dev/dri/renderD128"),
}
_CACHE_FILE: Final = "encoders.json"


def working_encoders(ffmpeg: Path, *, cache_folder: Path) -> frozenset[Encoder]:
    """Every encoder that encodes on this host; FfmpegMissing if ffmpeg does not run.

    Software encoders that worked are remembered in ``cache_folder`` per ffmpeg, version and
    file time; those that did not, and hardware, are tried again at every call, because drivers
    come and go. A cache that cannot be read or written costs only time.
    """
    key = f"{ffmpeg} {version(ffmpeg)} {ffmpeg.stat().st_mtime_ns}"
    cache = cache_folder / _CACHE_FILE
    known = _remembered(cache, key)
    wanted = [encoder for encoder in _candidates() if encoder not in known]
    with ThreadPoolExecutor(max_workers=2, thread_name_prefix="try-encoder") as pool:
        works = list(pool.map(lambda encoder: _encodes(ffmpeg, *encoder), wanted))
    found = known | {encoder for encoder, does in zip(wanted, works, strict=True) if does}
    software = {encoder for encoder in found if encoder[0] is Hardware.CPU}
    if software != known:
        _remember(cache, key, software)
    return frozenset(found)


def try_command(ffmpeg: Path, hardware: Hardware, codec: Codec) -> tuple[str, ...]:
    """The argv that encodes a few frames into nothing."""
    prepared = "format=nv12,hwupload" if hardware is Hardware.VAAPI else "format=nv12"
    picture = f"testsrc2=size={_FRAME_SIZE}:rate=30"
    return (
        *(str(ffmpeg), "-hide_banner", "-nostdin", "-loglevel", "error"),
        *(("-vaapi_device", str(_DEVICES[hardware])) if hardware is Hardware.VAAPI else ()),
        *("-f", "lavfi", "-i", picture, "-frames:v", "5"),
        *("-vf", "format=yuv420p" if hardware is Hardware.CPU else prepared),
        *_encoder_options(hardware, codec),
        *("-f", "null", "-"),
    )


def _encoder_options(hardware: Hardware, codec: Codec) -> tuple[str, ...]:
    if hardware is not Hardware.CPU:
        return ("-c:v", f"{codec}_{hardware}")
    fastest = {
        Codec.H264: ("-preset", "ultrafast"),
        Codec.HEVC: ("-preset", "ultrafast", "-x265-params", "log-level=error"),
        Codec.AV1: ("-preset", "12"),
        Codec.VP9: ("-deadline", "realtime", "-cpu-used", "8"),
    }
    return ("-c:v", SOFTWARE_ENCODERS[codec], *fastest[codec])


def _candidates() -> Iterable[Encoder]:
    yield from ((Hardware.CPU, codec) for codec in Codec)
    for hardware, device in _DEVICES.items():
        if device.exists():
            yield from ((hardware, codec) for codec in Codec)


def _encodes(ffmpeg: Path, hardware: Hardware, codec: Codec) -> bool:
    try:
        end = subprocess.run(
            try_command(ffmpeg, hardware, codec),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=dict(MINIMAL_ENVIRONMENT),
            timeout=TRY_SECONDS,
            check=False,
            start_new_session=True,
            preexec_fn=dying_with_parent(),
        )
    except (subprocess.TimeoutExpired, OSError):
        return False
    return end.returncode == 0


def _remembered(cache: Path, key: str) -> set[Encoder]:
    try:
        content = json.loads(cache.read_text())
        if content["key"] != key:
            return set()
        return {(Hardware.CPU, Codec(name)) for name in content["software"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _remember(cache: Path, key: str, software: Iterable[Encoder]) -> None:
    content = json.dumps({"key": key, "software": sorted(codec.value for _, codec in software)})
    with contextlib.suppress(OSError):
        cache.parent.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=cache.parent, prefix=f".{_CACHE_FILE}.")
        with os.fdopen(descriptor, "w") as file:
            file.write(content)
        Path(name).replace(cache)
