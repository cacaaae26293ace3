"""A host with GPUs for tests: a fake NVML, and a stand-in for ffmpeg's hardware encoders.

``Host(folder)`` is a host without GPUs; ``add_nvidia(behaviour)`` puts a card in. The stand-in is
the real ffmpeg but for ``*_nvenc``, ``*_qsv`` and ``*_vaapi``: these behave as the card at their
address, with the words and exit codes of a real build. It writes down every encode.
``one_session`` is a card that allows one encode at a time.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, Literal

from tests.media.specs import FFMPEG

FAKE_NVML = Path(__file__).parent / "fake_nvml"
Behaviour = Literal["works", "no_encoder", "no_av1", "eight_bit", "one_session", "hangs", "crashes"]
SCRIPT = """#!{python} -IS
import fcntl, json, os, signal, sys, time

FOLDER, FFMPEG, MISSING = {folder!r}, {ffmpeg!r}, {missing!r}
arguments = sys.argv[1:]
SAID = {{
    "no_encoder": ["OpenEncodeSessionEx failed: unsupported device (2): (no details)"],
    "no_av1": ["Codec not supported"],
    "eight_bit": ["10 bit encode not supported"],
    "one_session": ["OpenEncodeSessionEx failed: out of memory (10): (no details)"],
}}


def fail(behaviour, encoder):
    context = f"[{{encoder}} @ 0x55d0c0ffee00]"
    for line in SAID[behaviour]:
        level = "error" if "OpenEncode" in line else "warning"
        print(f"{{context}} [{{level}}] {{line}}", file=sys.stderr)
    print(f"{{context}} [fatal] No capable devices found", file=sys.stderr)
    print(
        f"[vost#0:0/{{encoder}} @ 0x55d0c0ffee80] [error] Error while opening encoder - maybe "
        "incorrect parameters such as bit_rate, rate, width or height.", file=sys.stderr)
    sys.exit(187)


if "-encoders" in arguments and MISSING:
    listed = os.popen(f"{{FFMPEG}} -hide_banner -encoders").read()
    print("\\n".join(l for l in listed.splitlines() if not any(m in l for m in MISSING)))
    sys.exit(0)
if "-c:v" in arguments:
    with open(f"{{FOLDER}}/encodes", "a") as file:
        file.write(" ".join(arguments) + "\\n")
    place = arguments.index("-c:v") + 1
    encoder = arguments[place]
    family = encoder.rpartition("_")[2]
    if family in ("nvenc", "qsv", "vaapi"):
        option = {{"nvenc": "-gpu", "qsv": "-qsv_device", "vaapi": "-vaapi_device"}}[family]
        at = arguments.index(option)
        behaviour = json.load(open(f"{{FOLDER}}/behaviours"))[arguments[at + 1]]
        deep = "p010" in " ".join(arguments)
        if behaviour == "hangs":
            time.sleep(3600)
        if behaviour == "crashes":
            os.kill(os.getpid(), signal.SIGSEGV)
        if behaviour == "no_encoder" or (behaviour == "no_av1" and "av1" in encoder) or (
            behaviour == "eight_bit" and deep
        ):
            fail(behaviour, encoder)
        if behaviour == "one_session":
            lock = os.open(f"{{FOLDER}}/session-{{arguments[at + 1]}}", os.O_RDWR | os.O_CREAT)
            os.set_inheritable(lock, True)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                fail(behaviour, encoder)
        arguments[place] = "libx264"
        del arguments[at : at + 2]
        arguments = [a.replace(",hwupload", "") for a in arguments]
os.execv(FFMPEG, [FFMPEG, *arguments])
"""


class Host:
    """What the processes of a test see of GPUs; all of it can be changed while they run."""

    def __init__(self, folder: Path, *, missing_encoders: tuple[str, ...] = ()) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.ffmpeg = folder / "ffmpeg"
        self.nvml: dict[str, Any] = {"gpus": [], "driver": "570.86.15"}
        self._behaviours: dict[str, Behaviour] = {}
        script = SCRIPT.format(
            python=sys.executable,
            folder=str(folder),
            ffmpeg=str(FFMPEG),
            missing=missing_encoders,
        )
        self.ffmpeg.write_text(script)
        self.ffmpeg.chmod(0o755)
        self.write()

    @property
    def environment(self) -> dict[str, str]:
        """What a process needs to find these GPUs."""
        return {"PYTHONPATH": str(FAKE_NVML), "FAKE_NVML": str(self.folder / "nvml.json")}

    @property
    def whole_environment(self) -> dict[str, str]:
        """The same, over this process's own."""
        return dict(os.environ) | self.environment

    def add_nvidia(self, behaviour: Behaviour = "works", *, name: str = "NVIDIA L4") -> None:
        """One more card."""
        index = len(self.nvml["gpus"])
        card = {"name": name, "uuid": f"GPU-{index}", "memory": 24 << 30, "index": index}
        self.nvml["gpus"].append(card)
        self.behave(str(index), behaviour)

    def behave(self, address: str, behaviour: Behaviour) -> None:
        """From now on the card at this address does so."""
        self._behaviours[address] = behaviour
        self.write()

    def write(self) -> None:
        """Let processes see what was changed in ``nvml``."""
        (self.folder / "nvml.json").write_text(json.dumps(self.nvml))
        (self.folder / "behaviours").write_text(json.dumps(self._behaviours))

    def take_encodes(self) -> list[str]:
        """The argument lists of the encodes since the last call."""
        file = self.folder / "encodes"
        lines = file.read_text().splitlines() if file.exists() else []
        file.write_text("")
        return lines
