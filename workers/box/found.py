"""Which box this host allows: tried once with real processes, when the agent starts."""

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Final

import ffrtmp
from ffrtmp.config.values import Sandbox
from workers.box.box import Box, Walls
from workers.box.programs import Programs, identity_of
from workers.box.system import gpu_devices, python_shown, system_words
from workers.box.user import MediaUser, media_user
from workers.box.view import Command
from workers.errors import AgentError
from workers.ffmpeg.child import MINIMAL_ENVIRONMENT, dying_with_parent
from workers.hardware.remembered import remember, remembered

TRY_SECONDS: Final = 20.0
CACHE_FILE: Final = "box.json"
_STATUS: Final = "/proc/self/status"
_RIGHTS: Final = re.compile(r"^(Uid|CapPrm|CapEff|NoNewPrivs):\s+(.*)$", re.MULTILINE)


class Unusable(Exception):  # noqa: N818
    """Such a box cannot be had here; the text says why."""


def find_box(
    ffmpeg: Path,
    *,
    wanted: Sandbox = Sandbox.AUTO,
    user: str | None = None,
    has_gpus: bool = False,
    cache_folder: Path | None = None,
) -> Box:
    """The best box that this host allows for this ffmpeg; AgentError where that is not enough.

    ffmpeg is tried each time; the prober, whose start costs more, until it is remembered in
    ``cache_folder`` that this very one works there.
    """
    if wanted is Sandbox.OFF:
        return Box(walls=Walls.RLIMITS, reasons=("sandbox is off",))
    devices = gpu_devices() if has_gpus else ()
    account = media_user(user, devices=devices)
    reasons: list[str] = []
    for box in _candidates(ffmpeg, wanted, account, devices):
        try:
            _try(box, ffmpeg, cache_folder)
        except (Unusable, OSError, subprocess.SubprocessError) as error:
            reasons.append(f"no {box.name}: {_said(error)}")
            continue
        return replace(box, reasons=tuple(reasons))
    is_enough = wanted is Sandbox.AUTO or (wanted is Sandbox.USER and account is None)
    if not is_enough:
        raise AgentError(f"sandbox is {wanted}, which this host does not allow: {reasons}")
    return Box(walls=Walls.RLIMITS, reasons=tuple(reasons))


def _candidates(
    ffmpeg: Path, wanted: Sandbox, user: MediaUser | None, devices: tuple[Path, ...]
) -> Iterator[Box]:
    """The best first."""
    setpriv, bwrap, env = (_found(name) for name in ("setpriv", "bwrap", "env"))
    if wanted is not Sandbox.USER:
        yield Box(
            walls=Walls.BUBBLEWRAP,
            user=user,
            programs=Programs(setpriv=setpriv, bwrap=bwrap, env=env),
            system=system_words((ffmpeg,), devices),
            own_python=python_shown(),
        )
    if user is not None and wanted is not Sandbox.BUBBLEWRAP:
        yield Box(walls=Walls.USER, user=user, programs=Programs(setpriv=setpriv))


def _found(name: str) -> Path:
    """Where nothing is found, a path that is not there: the try says so."""
    return Path(shutil.which(name) or f"/usr/bin/{name}")


def _try(box: Box, ffmpeg: Path, cache_folder: Path | None) -> None:
    """Run what attempts run; Unusable, OSError, SubprocessError."""
    key = f"{box.name} {sys.executable} {sys.prefix} {ffrtmp.__version__}"
    plain = dict(MINIMAL_ENVIRONMENT)
    with box.empty() as view:
        _require_rights(box, _run(view.command((str(_found("cat")), _STATUS), environment=plain)))
        _run(view.command((str(ffmpeg), "-hide_banner", "-version"), environment=plain))
        if cache_folder is not None and remembered(cache_folder, ffmpeg=key, file=CACHE_FILE):
            return
        child = (sys.executable, "-I", "-m", "workers.ffmpeg.probe_child", "rights", _STATUS)
        said = _run(view.python((*child, identity_of(view.user)), environment=plain))
        _require_rights(box, said)
    if cache_folder is not None:
        remember(cache_folder, ["prober"], ffmpeg=key, file=CACHE_FILE)


def _run(command: Command) -> str:
    end = subprocess.run(
        command.argv,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        env=dict(command.environment),
        timeout=TRY_SECONDS,
        check=False,
        pass_fds=command.descriptors,
        preexec_fn=dying_with_parent(),
    )
    if end.returncode != 0:
        said = end.stderr.decode("utf-8", "replace").strip().splitlines()[-1:]
        raise Unusable("".join(said) or f"it ends with {end.returncode}")
    return end.stdout.decode("utf-8", "replace")


def _require_rights(box: Box, status: str) -> None:
    """Unusable where a process in the box has rights that it shall not have."""
    rights = {name: value.split() for name, value in _RIGHTS.findall(status)}
    nothing = ["0" * 16]
    uids = rights["Uid"] if box.user is None else [str(box.user.uid)] * 4
    wanted = {"Uid": uids, "CapPrm": nothing, "CapEff": nothing, "NoNewPrivs": ["1"]}
    if rights != wanted:
        raise Unusable(f"its processes have the rights {rights}")


def _said(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return f"{error.filename} is not there"
    return str(error)
