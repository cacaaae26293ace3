"""GPUs for tests of real agents, on a host that has none.

``write_standin`` makes an ffmpeg that has hardware encoders. What its GPUs do stands in a file
that each encode reads when it starts, so that a test can break one while an agent runs; which GPU
ran what stands in another.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from tests.gpus import standin_ffmpeg
from workers.ffmpeg.binary import find_ffmpeg

Mood = Literal["works", "no_session", "no_device", "driver_too_old", "crash", "hang"]
Behaviour = Mapping[str, Mapping[str, Mood | Mapping[Literal["fail_codecs"], Sequence[str]]]]
"""Hardware, then the GPU as a target addresses it (``{"nvenc": {"0": "works"}}``,
``{"vaapi": {"/dev/dri/renderD128": {"fail_codecs": ["av1"]}}}``). One that is not named is not
there. NVENC refuses frames smaller than 145x49, as it really does."""

_BEHAVIOUR_FILE: Final = "gpus.json"
_RUNS_FILE: Final = "runs.jsonl"
_REAL: Final = "real-ffmpeg"


@dataclass(frozen=True, slots=True, kw_only=True)
class HardwareRun:
    """One start of an ffmpeg with a hardware encoder."""

    hardware: str
    gpu: str | None
    codec: str
    behaviour: str | Mapping[str, Sequence[str]]
    """What became of it, or ``absent``."""
    argv: Sequence[str]
    started_at: float
    """Seconds since the epoch."""
    pid: int


def write_standin(folder: Path, *, behaviour: Behaviour) -> Path:
    """An ffmpeg in ``folder`` (made if need be) whose GPUs behave so; its path."""
    folder.mkdir(parents=True, exist_ok=True)
    set_behaviour(folder, behaviour)
    (folder / _REAL).symlink_to(find_ffmpeg(None))
    script = folder / "ffmpeg"
    source = Path(standin_ffmpeg.__file__).read_text()
    script.write_text(f"#!{sys.executable} -SI\n{source}")
    script.chmod(0o755)
    return script


def set_behaviour(folder: Path, behaviour: Behaviour) -> None:
    """What the GPUs do from now on; encodes that run are left alone."""
    new = folder / f".{_BEHAVIOUR_FILE}"
    new.write_text(json.dumps(behaviour))
    new.replace(folder / _BEHAVIOUR_FILE)


def hardware_runs(folder: Path) -> list[HardwareRun]:
    """Every hardware encode so far, in order."""
    file = folder / _RUNS_FILE
    lines = file.read_text().splitlines() if file.exists() else []
    return [HardwareRun(**json.loads(line)) for line in lines]
