"""Sending a finished output, file by file, the one that names the others last."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Final, Protocol

from workers.digests import files_in, known_hash, sha256_of
from workers.remote.items import Found, Item, Upload, Way, Whole, changed

MASTER_PLAYLIST: Final = "master.m3u8"


class Store(Protocol):
    """Where files are sent to."""

    def look(self, location: str, *, is_folder: bool) -> Found | None:
        """What is there, as far as one can see; AttemptFailed, OutputAway."""
        ...

    def abandon(self, location: str, upload: Upload) -> None:
        """Leave nothing of what will not be sent to its end; does not raise."""
        ...

    def put(self, item: Item, way: Way) -> None:
        """Send one file; AttemptFailed where it is refused for good, OutputAway for now."""
        ...


def ship(
    store: Store,
    temporary: Path,
    location: str,
    way: Way,
    *,
    whole: Whole,
    overwrite: bool,
    own: Collection[str],
) -> None:
    """Send what is not there yet. The same call again, after any end of the last, goes on.

    AttemptFailed, OutputAway, and whatever ``way`` raises.
    """
    for name in _names(temporary, whole.sha256):
        if name in way.upload.sent:
            continue
        path = temporary / name if name else temporary
        item = Item(
            name=name,
            path=path,
            location=place_of(location, name),
            sha256=sha256_of(path) if name else whole.sha256,
            size=path.stat().st_size,
            whole=whole,
            overwrite=overwrite,
            own=own,
        )
        store.put(item, way)
        way.remember(way.upload.with_sent(name))


def place_of(location: str, name: str) -> str:
    """Where a file of an output goes; its name is empty where it is all of it."""
    if not name:
        return location
    base, mark, query = location.partition("?")
    return f"{base.rstrip('/')}/{name}{mark}{query}"


def main_file(names: Collection[str]) -> str:
    """The file of a folder that comes last: with it the whole is there."""
    return MASTER_PLAYLIST if MASTER_PLAYLIST in names else max(names, default="")


def _names(temporary: Path, sha256: str) -> Iterator[str]:
    if temporary.is_file():
        yield ""
        return
    if not temporary.is_dir() or known_hash(temporary, {sha256}) is None:
        raise changed(temporary)
    names = files_in(temporary)
    last = main_file(names)
    yield from (name for name in names if name != last)
    yield last
