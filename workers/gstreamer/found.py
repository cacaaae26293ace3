"""Whether this host has a GStreamer that can publish, found by running it."""

import json
import shutil
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from workers.box.view import EVERYTHING, View
from workers.ffmpeg.child import MINIMAL_ENVIRONMENT
from workers.hardware.bounded import run_bounded
from workers.hardware.remembered import remember, remembered

TRY_SECONDS: Final = 20.0
AAC_ENCODERS: Final = ("fdkaacenc", "avenc_aac", "voaacenc")
"""The best first."""
CACHE_FILE: Final = "gstreamer.json"
PLAYER: Final = Path(__file__).with_name("player.py")
REGISTRY_FILE: Final = "gstreamer.registry"
_NEEDS: Final = (
    *("rtmp2sink", "flvmux", "x264enc", "h264parse", "aacparse", "decodebin", "qtdemux"),
    *("videoscale", "videorate", "videoflip", "audioresample"),
)
_SYSTEM_PYTHON: Final = Path("/usr/bin/python3")
_SYSTEM_PLUGINS: Final = Path("/usr/lib")


@dataclass(frozen=True, slots=True, kw_only=True)
class Gstreamer:
    """One that works: the Python that has its bindings, and its AAC encoder.

    ``registry`` is the file in which GStreamer keeps what plugins there are: looking at them
    takes seconds.
    """

    python: Path
    aac: str
    registry: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """What its processes need beside what every child gets."""
        return {
            "GST_REGISTRY": str(self.registry),
            # GLib looks for a home and for settings of a desktop, and complains without
            "HOME": "/",
            "GSETTINGS_BACKEND": "memory",
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Absent:
    """There is none that works, and why."""

    reason: str


def known_gstreamer(folder: Path, view: View = EVERYTHING, *, box: str = "") -> Gstreamer | Absent:
    """The one that worked at an earlier start, in the same box, where the same plugins lie there
    still; else what is found now."""
    now = f"{identity()} {box}"
    for word in remembered(folder, ffmpeg=now, file=CACHE_FILE):
        python, _, aac = word.rpartition(" ")
        if Path(python).exists():
            return Gstreamer(python=Path(python), aac=aac, registry=folder / REGISTRY_FILE)
    found = find_gstreamer(folder, view)
    if isinstance(found, Gstreamer):
        remember(folder, [f"{found.python} {found.aac}"], ffmpeg=now, file=CACHE_FILE)
    return found


def find_gstreamer(folder: Path, view: View = EVERYTHING) -> Gstreamer | Absent:
    """Try each Python of this host until one publishes a test picture to nowhere.

    The registry is kept in ``folder``, which processes that see only ``view`` do not write: it is
    made before they are tried.
    """
    reason = "no Python on this host can be run"
    with suppress(OSError):  # without a registry GStreamer reads all its plugins at every start
        folder.mkdir(parents=True, exist_ok=True)
    for python in _pythons():
        for aac in AAC_ENCODERS:
            found = Gstreamer(python=python, aac=aac, registry=folder / REGISTRY_FILE)
            failure = _failure(found, EVERYTHING)
            _let_all_read(found.registry)
            if failure is None and view is not EVERYTHING:
                failure = _failure(found, view)
            if failure is None:
                return found
            reason = failure
            if aac not in failure:  # another encoder would fail as well, and as slowly
                break
    return Absent(reason=reason)


def _let_all_read(registry: Path) -> None:
    """It names plugins of the host, and no more."""
    with suppress(OSError):  # as where there is none
        registry.chmod(0o644)


def identity() -> str:
    """What changes when GStreamer's plugins do, as far as they lie where Debian puts them."""
    folders = sorted(_SYSTEM_PLUGINS.glob("*/gstreamer-1.0"))
    return ",".join(f"{folder}:{folder.stat().st_mtime_ns}" for folder in folders)


def _pythons() -> Iterator[Path]:
    named = shutil.which("python3")
    candidates = [_SYSTEM_PYTHON, Path(named) if named else None, Path(sys.executable)]
    yield from dict.fromkeys(path for path in candidates if path is not None and path.exists())


def _failure(found: Gstreamer, view: View) -> str | None:
    order = {
        "needs": _NEEDS,
        "pipeline": (
            "flvmux name=mux ! fakesink name=sink "
            "videotestsrc num-buffers=5 ! video/x-raw,width=320,height=180"
            " ! x264enc name=frames speed-preset=ultrafast ! h264parse ! queue ! mux. "
            f"audiotestsrc num-buffers=5 ! {found.aac} ! aacparse ! queue ! mux."
        ),
    }
    try:
        command = view.command(
            (str(found.python), "-I", str(PLAYER), json.dumps(order)),
            environment={**MINIMAL_ENVIRONMENT, **found.environment},
            tools=(PLAYER,),
        )
        end = run_bounded(command, timeout_seconds=TRY_SECONDS)
    except OSError as error:
        return str(error)
    if end.return_code == 0:
        return None
    if end.return_code is None:
        return f"took longer than {TRY_SECONDS:.0f} s"
    lines = end.stderr.strip().splitlines() or [f"ended with {end.return_code}"]
    return lines[-1].removeprefix("[error] ")
