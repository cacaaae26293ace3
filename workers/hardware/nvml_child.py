"""Asks NVIDIA's library for its GPUs: ``python -m workers.hardware.nvml_child``.

A process of its own, because a broken driver may crash it or hang. It prints one JSON object:
``{"driver", "gpus": [{"index", "name", "uuid", "memory_bytes", "bus_id"}], "problems": [text]}``,
``{"missing": reason}`` where there is no such library, or ``{"failed": reason}``.
"""

import json
import sys
from typing import Any

import pynvml


def main() -> int:
    """Print the answer; always 0."""
    try:
        pynvml.nvmlInit()
        answer = inventory()
    except pynvml.NVMLError_LibraryNotFound as error:
        answer = {"missing": str(error)}
    except (pynvml.NVMLError, OSError) as error:
        answer = {"failed": str(error)}
    json.dump(answer, sys.stdout)
    return 0


def inventory() -> dict[str, Any]:
    """Every GPU that answers; of one that does not, the reason."""
    gpus, problems = [], []
    for index in range(pynvml.nvmlDeviceGetCount()):
        try:
            gpus.append(_gpu(index))
        except pynvml.NVMLError as error:
            problems.append(f"GPU {index}: {error}")
    driver = pynvml.nvmlSystemGetDriverVersion()
    return {"driver": driver, "gpus": gpus, "problems": problems}


def _gpu(index: int) -> dict[str, Any]:
    handle = pynvml.nvmlDeviceGetHandleByIndex(index)
    return {
        "index": index,
        "name": pynvml.nvmlDeviceGetName(handle),
        "uuid": pynvml.nvmlDeviceGetUUID(handle),
        "memory_bytes": _memory_bytes(handle),
        "bus_id": pynvml.nvmlDeviceGetPciInfo(handle).busId,
    }


def _memory_bytes(handle: Any) -> int | None:
    try:
        return int(pynvml.nvmlDeviceGetMemoryInfo(handle).total)
    except pynvml.NVMLError:  # GPUs that share the host's memory have none of their own
        return None


if __name__ == "__main__":
    sys.exit(main())
