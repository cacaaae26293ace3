"""Which trials worked before, kept in the state folder; losing it costs only time."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CACHE_FILE: Final = "encoders.json"


def remembered(folder: Path, *, ffmpeg: str) -> frozenset[str]:
    """What worked with this ffmpeg; nothing where the file is not there, broken or another's."""
    try:
        content = json.loads((folder / CACHE_FILE).read_text())
        return frozenset(content["works"]) if content["ffmpeg"] == ffmpeg else frozenset()
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def remember(folder: Path, works: Iterable[str], *, ffmpeg: str) -> None:
    """Replace the file atomically; where it cannot be written the old one stays."""
    content = json.dumps({"ffmpeg": ffmpeg, "works": sorted(works)}, indent=1)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{CACHE_FILE}.")
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(content)
            Path(name).replace(folder / CACHE_FILE)
        except OSError:
            Path(name).unlink()
            raise
