"""Which GPUs this host has. That one is here does not say that it can encode."""

import json
import logging
import os
import platform
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

from ffrtmp.config import SETTINGS_VARIABLE
from ffrtmp.domain.media import Hardware
from workers.box.view import Command
from workers.ffmpeg.target import Target
from workers.hardware.bounded import run_bounded

NVML_SECONDS: Final = 30.0
"""A driver without a persistence daemon wakes its GPUs up first, some seconds for each."""
# PCI vendors; NVIDIA's render nodes (0x10de) are left out: its GPUs are spoken to as NVENC
_VENDORS: Final = {
    "0x8086": ("Intel", (Hardware.QSV, Hardware.VAAPI)),
    "0x1002": ("AMD", (Hardware.VAAPI,)),
}
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """One GPU and the ways its encoders may be spoken to, the preferred first.

    ``uuid`` is NVIDIA's, else the PCI address; ``driver`` is the text that changes with it.
    """

    id: str = ""
    name: str
    targets: tuple[Target, ...]
    driver: str | None = None
    uuid: str | None = None
    memory_bytes: int | None = None
    bus_id: str | None = None

    @property
    def identity(self) -> str:
        """What a test of this GPU holds for: the same text, the same card under the same driver."""
        return f"{self.name} {self.uuid} {self.driver}"

    def facts(self) -> dict[str, Any]:
        """For people; JSON-able."""
        return {
            "id": self.id,
            "name": self.name,
            "driver": self.driver,
            "memory_bytes": self.memory_bytes,
            "uuid": self.uuid,
            "bus_id": self.bus_id,
        }


def find_gpus(
    *,
    dev: Path = Path("/dev"),
    system: Path = Path("/sys"),
    nvml_seconds: float = NVML_SECONDS,
) -> tuple[Gpu, ...]:
    """Every GPU, called ``gpu0`` and so on: NVIDIA's by index, then render nodes by path.

    Having none, or a library that fails or hangs, is no error; the log says why.
    """
    found = [*_nvidia(dev, system, nvml_seconds), *_render_nodes(dev / "dri", system)]
    return tuple(replace(gpu, id=f"gpu{number}") for number, gpu in enumerate(found))


def _nvidia(dev: Path, system: Path, nvml_seconds: float) -> list[Gpu]:
    answer = _ask_nvml(nvml_seconds)
    for problem in answer.get("problems", ()):
        log.warning("a GPU is left out: %s", problem)
    if "gpus" in answer:
        return [_of_nvml(gpu, answer["driver"]) for gpu in answer["gpus"]]
    if "missing" not in answer:
        log.warning("NVIDIA GPUs are not used: %s", answer["failed"])
        return []
    files = _nvidia_files(dev, system)
    what = f"{len(files)} NVIDIA GPUs, by their device files" if files else "no NVIDIA GPUs"
    log.info("%s: %s", what, answer["missing"])
    return files


def _ask_nvml(timeout_seconds: float) -> dict[str, Any]:
    # The environment may say where the driver's libraries lie; the settings hold a key.
    environment = {name: v for name, v in os.environ.items() if name != SETTINGS_VARIABLE}
    module = ("-P", "-m", "workers.hardware.nvml_child")
    command = Command(argv=(sys.executable, *module), environment=environment)
    end = run_bounded(command, timeout_seconds=timeout_seconds)
    if end.return_code is None:
        return {"failed": f"NVML did not answer within {timeout_seconds:g} s"}
    try:
        answer: dict[str, Any] = json.loads(end.stdout)
    except ValueError:
        words = "".join(end.stderr.strip().splitlines()[-1:])
        return {"failed": f"asking NVML ended with {end.return_code}: {words}"}
    return answer


def _of_nvml(gpu: dict[str, Any], driver: str) -> Gpu:
    return Gpu(
        name=gpu["name"],
        targets=(Target(hardware=Hardware.NVENC, address=str(gpu["index"])),),
        driver=driver,
        uuid=gpu["uuid"],
        memory_bytes=gpu["memory_bytes"],
        bus_id=gpu["bus_id"],
    )


def _nvidia_files(dev: Path, system: Path) -> list[Gpu]:
    """GPUs by ``/dev/nvidia0`` and so on, for hosts that have the driver but not NVML."""
    numbers = sorted(
        int(match[1])
        for path in dev.glob("nvidia*")
        if (match := re.fullmatch(r"nvidia([0-9]+)", path.name))
    )
    driver = _text(system / "module" / "nvidia" / "version")
    return [
        Gpu(
            name=f"NVIDIA GPU {number}",
            targets=(Target(hardware=Hardware.NVENC, address=str(number)),),
            driver=driver,
        )
        for number in numbers
    ]


def _render_nodes(folder: Path, system: Path) -> Iterator[Gpu]:
    for path in sorted(folder.glob("renderD*")):
        device = system / "class" / "drm" / path.name / "device"
        vendor, families = _VENDORS.get(_text(device / "vendor") or "", ("", ()))
        if not families:
            continue
        driver = device / "driver"
        memory = _text(device / "mem_info_vram_total")
        yield Gpu(
            name=f"{vendor} GPU {(_text(device / 'device') or 'unknown').removeprefix('0x')}",
            targets=tuple(Target(hardware=family, address=str(path)) for family in families),
            driver=f"{driver.resolve().name} {platform.release()}" if driver.exists() else None,
            uuid=device.resolve().name,
            memory_bytes=int(memory) if memory and memory.isdecimal() else None,
            bus_id=device.resolve().name,
        )


def _text(file: Path) -> str | None:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError):
        return None
