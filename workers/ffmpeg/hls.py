"""What the playlists of a finished HLS folder say, and whether players can follow it; purely."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from workers.ffmpeg.folders import MASTER_PLAYLIST, PLAYLIST, sound_names
from workers.ffmpeg.plan import Plan

ALIGNMENT_SECONDS: Final = 0.001
"""Segments of two renditions end at the same frame: their lengths differ by rounding only."""
_END: Final = "#EXT-X-ENDLIST"
_MAP: Final = re.compile(r'#EXT-X-MAP:URI="([^"/]+)"')
_SEGMENT: Final = re.compile(r"#EXTINF:([0-9.]+),")


@dataclass(frozen=True, slots=True, kw_only=True)
class Playlist:
    """One media playlist: its segments in order, their seconds and names."""

    initial: str | None
    seconds: tuple[float, ...]
    names: tuple[str, ...]
    has_end: bool

    @classmethod
    def parse(cls, text: str) -> "Playlist":
        """What the text says; lines nobody here needs are passed over."""
        lines = text.splitlines()
        initial = next((found[1] for line in lines if (found := _MAP.match(line))), None)
        seconds = tuple(float(found[1]) for line in lines if (found := _SEGMENT.match(line)))
        return cls(
            initial=initial,
            seconds=seconds,
            names=tuple(line for line in lines if line and not line.startswith("#")),
            has_end=_END in lines,
        )


def playlist_places(plan: Plan) -> tuple[str, ...]:
    """The media playlists that a folder has: those of pictures, then those of sound."""
    names = (*(picture.name for picture in plan.pictures), *sound_names(plan))
    return tuple(f"{name}/{PLAYLIST}" for name in names)


def faults(plan: Plan, texts: Mapping[str, str], files: Mapping[str, int]) -> Iterator[str]:
    """What is wrong, one sentence each.

    ``texts`` has the playlists by their place in the folder, ``files`` the size of every file.
    """
    master = texts.get(MASTER_PLAYLIST, "")
    found: dict[str, Playlist] = {}
    for place in playlist_places(plan):
        if place not in texts:
            yield f"{place} is missing"
            continue
        if place not in master:
            yield f"{MASTER_PLAYLIST} does not name {place}"
        found[place] = Playlist.parse(texts[place])
        yield from _own_faults(place, found[place], files)
    pictures = [f"{picture.name}/{PLAYLIST}" for picture in plan.pictures]
    first, *others = [place for place in pictures if place in found] or [""]
    for place in others:
        if not _are_aligned(found[first], found[place]):
            yield f"segments of {place} do not end where those of {first} do"


def _own_faults(place: str, said: Playlist, files: Mapping[str, int]) -> Iterator[str]:
    folder = place.partition("/")[0]
    if not said.has_end:
        yield f"{place} has no end"
    if not said.names or len(said.names) != len(said.seconds):
        yield f"{place} has {len(said.names)} segments of {len(said.seconds)} announced"
    for name in (said.initial, *said.names):
        if name is None or not files.get(f"{folder}/{name}"):
            yield f"{place} names {name}, which is not there"


def _are_aligned(one: Playlist, other: Playlist) -> bool:
    return len(one.seconds) == len(other.seconds) and all(
        abs(a - b) <= ALIGNMENT_SECONDS
        for a, b in zip(one.seconds[:-1], other.seconds[:-1], strict=True)
    )
