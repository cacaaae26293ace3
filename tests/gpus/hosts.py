"""A host with GPUs for tests: a fake NVML, and an ffmpeg that can encode on them.

``Host(folder)`` is a host without GPUs; ``add_nvidia(behaviour)`` puts a card in. What behaviours
there are says ``standin.Mood``.
"""

import json
import os
from pathlib import Path
from typing import Any

from tests.gpus.standin import GpuBehaviour, encode_runs, set_behaviour, write_standin

FAKE_NVML = Path(__file__).parent / "fake_nvml"


class Host:
    """What the processes of a test see of GPUs; all of it can be changed while they run."""

    def __init__(self, folder: Path, *, missing_encoders: tuple[str, ...] = ()) -> None:
        self.folder = folder
        self.ffmpeg = write_standin(folder, behaviour={}, missing_encoders=missing_encoders)
        self.nvml: dict[str, Any] = {"gpus": [], "driver": "570.86.15"}
        self._behaviours: dict[str, dict[str, GpuBehaviour]] = {}
        self._taken = 0
        self.write()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find these GPUs."""
        return {"PYTHONPATH": str(FAKE_NVML), "FAKE_NVML": str(self.folder / "nvml.json")}

    @property
    def whole_environment(self) -> dict[str, str]:
        """The same, over this process's own."""
        return dict(os.environ) | self.environment

    def add_nvidia(self, behaviour: GpuBehaviour = "works", *, name: str = "NVIDIA L4") -> None:
        """One more card."""
        index = len(self.nvml["gpus"])
        card = {"name": name, "uuid": f"GPU-{index}", "memory": 24 << 30, "index": index}
        self.nvml["gpus"].append(card)
        self.behave(str(index), behaviour)

    def behave(self, address: str, behaviour: GpuBehaviour) -> None:
        """From now on the card does so; its address is its index, or a render node's path."""
        for family in ("nvenc",) if address.isdecimal() else ("qsv", "vaapi"):
            self._behaviours.setdefault(family, {})[address] = behaviour
        self.write()

    def write(self) -> None:
        """Let processes see what was changed in ``nvml``."""
        (self.folder / "nvml.json").write_text(json.dumps(self.nvml))
        set_behaviour(self.folder, self._behaviours)

    def take_encodes(self) -> list[str]:
        """The argument lists of the encodes since the last call, those of the CPU too."""
        new = encode_runs(self.folder)[self._taken :]
        self._taken += len(new)
        return [" ".join(run.argv) for run in new]
