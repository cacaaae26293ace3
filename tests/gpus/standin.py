"""GPUs for tests of real agents, on a host that has none.

``write_standin`` makes an ffmpeg that has hardware encoders. What its GPUs do stands in a file
that each encode reads when it starts, so that a test can break one while an agent runs; which GPU
ran what stands in another.
"""

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from workers.ffmpeg.binary import find_ffmpeg

Mood = Literal[
    "works",
    "no_device",
    "driver_too_old",
    "no_encoder",
    "no_session",
    "one_session",
    "eight_bit",
    "no_decoder",
    "fails_midway",
    "crash",
    "hang",
]
"""What a GPU does with an encode.

``works``: it encodes. NVENC refuses frames smaller than 145x49, as it really does.
``no_device``: the driver finds no such GPU.
``driver_too_old``: the driver cannot do what this ffmpeg asks of it.
``no_encoder``: a GPU that computes and cannot encode.
``no_session``: all its sessions are taken by somebody else.
``one_session``: it encodes for one process at a time, and has no session for a second.
``eight_bit``: it encodes, but no 10 bit pictures.
``no_decoder``: it encodes, but decodes nothing.
``fails_midway``: it opens, encodes 30 frames, and then fails; a shorter encode, as that of an
agent that tries its encoders, works.
``crash``: the driver ends the process by SIGSEGV.
``hang``: nothing comes of it, and only SIGKILL ends it.
"""
GpuBehaviour = Mood | Mapping[Literal["fail_codecs"], Sequence[str]]
"""A mood, or ``{"fail_codecs": ["av1"]}``: it encodes, but not these codecs."""
Behaviour = Mapping[str, Mapping[str, GpuBehaviour]]
"""Hardware, then the GPU as a target addresses it (``{"nvenc": {"0": "works"}}``,
``{"vaapi": {"/dev/dri/renderD128": {"fail_codecs": ["av1"]}}}``). One that is not named is not
there."""

_BEHAVIOUR_FILE: Final = "gpus.json"
_RUNS_FILE: Final = "runs.jsonl"
_REAL: Final = "real-ffmpeg"
_MISSING_FILE: Final = "missing-encoders"
_SCRIPT: Final = f"""#!{sys.executable} -SI
import sys

sys.path.insert(0, {str(Path(__file__).parents[2])!r})
from tests.gpus.standin_ffmpeg import main

main()
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodeRun:
    """One start of an ffmpeg with an encoder, of a GPU or of the CPU."""

    hardware: str
    """``cpu`` for software."""
    gpu: str | None
    codec: str
    behaviour: str | Mapping[str, Sequence[str]]
    """What the GPU does, or ``absent``; ``works`` for the CPU."""
    argv: Sequence[str]
    started_at: float
    """Seconds since the epoch."""
    pid: int


def write_standin(
    folder: Path, *, behaviour: Behaviour, missing_encoders: Collection[str] = ()
) -> Path:
    """An ffmpeg in ``folder`` (made if need be) whose GPUs behave so; its path.

    It does not list encoders that have one of ``missing_encoders`` in their name.
    """
    folder.mkdir(parents=True, exist_ok=True)
    set_behaviour(folder, behaviour)
    (folder / _MISSING_FILE).write_text(" ".join(missing_encoders))
    (folder / _REAL).symlink_to(find_ffmpeg(None))
    script = folder / "ffmpeg"
    script.write_text(_SCRIPT)
    script.chmod(0o755)
    return script


def set_behaviour(folder: Path, behaviour: Behaviour) -> None:
    """What the GPUs do from now on; encodes that run are left alone."""
    new = folder / f".{_BEHAVIOUR_FILE}"
    new.write_text(json.dumps(behaviour))
    new.replace(folder / _BEHAVIOUR_FILE)


def encode_runs(folder: Path) -> list[EncodeRun]:
    """Every encode so far, those of the CPU too, in order."""
    file = folder / _RUNS_FILE
    lines = file.read_text().splitlines() if file.exists() else []
    return [EncodeRun(**json.loads(line)) for line in lines]


def hardware_runs(folder: Path) -> list[EncodeRun]:
    """Every encode on a GPU so far, in order."""
    return [run for run in encode_runs(folder) if run.hardware != "cpu"]
