"""What an agent would remember of its encoders from an earlier start on this host.

Test encodes are most of what the first start of an agent computes; ``tests/gpus`` and the
acceptance tests make agents run them.
"""

import functools
import tempfile
from pathlib import Path

from workers.ffmpeg.binary import find_ffmpeg
from workers.hardware.devices import found_devices
from workers.hardware.remembered import CACHE_FILE


def bring_to(state: Path) -> None:
    """Leave in a state folder what an agent with the usual ffmpeg left in its own."""
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not (state / CACHE_FILE).exists():
        (state / CACHE_FILE).write_bytes(_remembered())


@functools.cache
def _remembered() -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        found_devices(
            find_ffmpeg(None), gpus=(), cpu_slots=1, gpu_slots=0, cache_folder=Path(folder)
        )
        return (Path(folder) / CACHE_FILE).read_bytes()
