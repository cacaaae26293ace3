"""NVIDIA's library for processes of tests: its folder on PYTHONPATH gives a host GPUs.

FAKE_NVML names a JSON file: ``{"gpus": [{"name", "uuid", "memory", "index", ...}], "driver"}``;
without the variable there is no library, as on a host without an NVIDIA driver. A GPU may also
say ``driver``, ``bus_id``, ``gpu_percent``, ``memory_percent``, ``memory_used``, ``temperature``
and ``power_mw``, each with a default; ``"lost": true`` makes it fail when it is asked. ``"hang"``
and ``"error"`` name a function, such as ``nvmlInit``, that never answers or that fails. The file
is read at every call, so a test can change it meanwhile.
"""

# ruff: noqa: N801, N802, N818
import json
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

NVML_TEMPERATURE_GPU = 0


class NVMLError(Exception):
    """What every function raises."""


class NVMLError_LibraryNotFound(NVMLError):
    """There is no library."""


class NVMLError_DriverNotLoaded(NVMLError):
    """There is a library, but no driver."""


class NVMLError_GpuIsLost(NVMLError):
    """The GPU does not answer."""


class NVMLError_NotSupported(NVMLError):
    """This GPU has no such thing."""


@dataclass(frozen=True)
class Memory:
    """Bytes."""

    total: int
    used: int
    free: int


@dataclass(frozen=True)
class PciInfo:
    """Where the card sits."""

    busId: str  # noqa: N815


@dataclass(frozen=True)
class Utilization:
    """Per cent."""

    gpu: int
    memory: int


def _content(function: str) -> dict[str, Any]:
    file = os.environ.get("FAKE_NVML")
    if not file:
        raise NVMLError_LibraryNotFound("NVML Shared Library Not Found")
    content: dict[str, Any] = json.loads(Path(file).read_text())
    if content.get("hang") == function:
        threading.Event().wait()
    if content.get("error") == function:
        raise NVMLError_DriverNotLoaded("Driver Not Loaded")
    return content


def _gpu(function: str, handle: int) -> dict[str, Any]:
    found: dict[str, Any] = _content(function)["gpus"][handle]
    if found.get("lost"):
        raise NVMLError_GpuIsLost("GPU is lost")
    return found


def nvmlInit() -> None:
    """Load the library."""
    _content("nvmlInit")


def nvmlShutdown() -> None:
    """Let it go."""
    _content("nvmlShutdown")


def nvmlSystemGetDriverVersion() -> str:
    """The driver of the host, or that of its first GPU."""
    content = _content("nvmlSystemGetDriverVersion")
    first = content["gpus"][0] if content["gpus"] else {}
    return str(content.get("driver") or first.get("driver", "570.00"))


def nvmlDeviceGetCount() -> int:
    """How many GPUs there are."""
    return len(_content("nvmlDeviceGetCount")["gpus"])


def nvmlDeviceGetHandleByIndex(index: int) -> int:
    """The GPU that says it has this index, else the one at this place of the list."""
    gpus = _content("nvmlDeviceGetHandleByIndex")["gpus"]
    places = {gpu.get("index", place): place for place, gpu in enumerate(gpus)}
    return int(places[index])


def nvmlDeviceGetName(handle: int) -> str:
    """Its model."""
    return str(_gpu("nvmlDeviceGetName", handle)["name"])


def nvmlDeviceGetUUID(handle: int) -> str:
    """Its own."""
    return str(_gpu("nvmlDeviceGetUUID", handle)["uuid"])


def nvmlDeviceGetMemoryInfo(handle: int) -> Memory:
    """Its memory; NotSupported where the file says null."""
    gpu = _gpu("nvmlDeviceGetMemoryInfo", handle)
    total = gpu.get("memory", 8 << 30)
    if total is None:
        raise NVMLError_NotSupported("Not Supported")
    used = gpu.get("memory_used", 0)
    return Memory(total=total, used=used, free=total - used)


def nvmlDeviceGetPciInfo(handle: int) -> PciInfo:
    """Its place on the bus."""
    gpu = _gpu("nvmlDeviceGetPciInfo", handle)
    return PciInfo(busId=gpu.get("bus_id", f"00000000:{handle + 1:02X}:00.0"))


def nvmlDeviceGetUtilizationRates(handle: int) -> Utilization:
    """How busy it is."""
    gpu = _gpu("nvmlDeviceGetUtilizationRates", handle)
    return Utilization(gpu=gpu.get("gpu_percent", 0), memory=gpu.get("memory_percent", 0))


def nvmlDeviceGetTemperature(handle: int, sensor: int) -> int:
    """Degrees Celsius."""
    return int(_gpu("nvmlDeviceGetTemperature", handle).get("temperature", 40))


def nvmlDeviceGetPowerUsage(handle: int) -> int:
    """Milliwatts."""
    return int(_gpu("nvmlDeviceGetPowerUsage", handle).get("power_mw", 30_000))
