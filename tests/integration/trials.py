"""What an agent would remember of its encoders from an earlier start on this host.

Test encodes are most of what the first start of an agent computes; ``tests/gpus`` and the
acceptance tests make agents run them.
"""

import functools
import tempfile
from pathlib import Path

from workers.box import found as box
from workers.box.found import find_box
from workers.ffmpeg.binary import find_ffmpeg
from workers.gstreamer import found as gstreamer
from workers.hardware.devices import found_devices
from workers.hardware.remembered import CACHE_FILE

FFMPEG = find_ffmpeg(None)
FILES = (CACHE_FILE, box.CACHE_FILE, gstreamer.CACHE_FILE, gstreamer.REGISTRY_FILE)


def bring_to(state: Path) -> None:
    """Leave in a state folder what an agent with the usual ffmpeg left in its own."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, content in _remembered().items():
        if not (state / name).exists():
            (state / name).write_bytes(content)


@functools.cache
def _remembered() -> dict[str, bytes]:
    with tempfile.TemporaryDirectory() as folder:
        found_devices(
            FFMPEG,
            gpus=(),
            cpu_slots=1,
            gpu_slots=0,
            cache_folder=Path(folder),
            box=find_box(FFMPEG, cache_folder=Path(folder)),
        )
        paths = [Path(folder) / name for name in FILES]
        return {path.name: path.read_bytes() for path in paths if path.exists()}
