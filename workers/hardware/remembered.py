"""Which trials worked before, kept in the state folder; losing it costs only time."""

import contextlib
import json
import os
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

CACHE_FILE: Final = "encoders.json"


def remembered(folder: Path, *, ffmpeg: str, file: str = CACHE_FILE) -> frozenset[str]:
    """What worked with this ffmpeg; nothing where the file is not there, broken or another's."""
    try:
        content = json.loads((folder / file).read_text())
        return frozenset(content["works"]) if content["ffmpeg"] == ffmpeg else frozenset()
    except (OSError, ValueError, KeyError, TypeError):
        return frozenset()


def remember(folder: Path, works: Iterable[str], *, ffmpeg: str, file: str = CACHE_FILE) -> None:
    """Replace the file atomically; where it cannot be written the old one stays."""
    content = json.dumps({"ffmpeg": ffmpeg, "works": sorted(works)}, indent=1)
    with contextlib.suppress(OSError):
        folder.mkdir(parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(dir=folder, prefix=f".{file}.")
        try:
            with os.fdopen(descriptor, "w") as opened:
                opened.write(content)
            Path(name).replace(folder / file)
        except OSError:
            Path(name).unlink()
            raise
