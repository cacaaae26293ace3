"""The renditions of a ladder: those a job names, or the usual ones."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ffrtmp.domain.media import Codec, FrameSize
from ffrtmp.domain.spec import Rendition

MAX_RENDITIONS: Final = 10
NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,31}")
_RESERVED: Final = re.compile(r"audio(-\d+)?|master")
"""What a folder holds besides its renditions."""

# Ceilings at 30 fps for H.264: near Apple's HLS authoring specification, table of 16:9 variants.
_RUNGS: Final = {
    "2160p": 16_000_000,
    "1440p": 9_000_000,
    "1080p": 6_000_000,
    "720p": 3_000_000,
    "480p": 1_600_000,
    "360p": 800_000,
}
# What newer codecs need of it for the same quality, rounded up.
_SHARES: Final = {
    Codec.H264: Fraction(1),
    Codec.HEVC: Fraction(7, 10),
    Codec.AV1: Fraction(6, 10),
    Codec.VP9: Fraction(7, 10),
}
_FAST_FPS: Final = 31
_FAST_FACTOR: Final = Fraction(3, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedRendition:
    """One of a job's ``renditions``; None takes the job's or a default."""

    name: str | None = None
    resolution: FrameSize
    bits_per_second: int | None = None
    max_bits_per_second: int | None = None
    crf: int | None = None
    fps: Fraction | None = None


def usual_ladder(
    *, top: FrameSize | None, codec: Codec, crf: int, fps: Fraction | None
) -> tuple[Rendition, ...]:
    """The usual sizes from ``top`` down, each of constant quality under its own ceiling."""
    factor = _SHARES[codec] * (_FAST_FACTOR if fps is not None and fps >= _FAST_FPS else 1)
    rungs = [(name, FrameSize.parse(name), bits) for name, bits in _RUNGS.items()]
    return tuple(
        Rendition(name=name, size=size, fps=fps, crf=crf, max_bits_per_second=round(bits * factor))
        for name, size, bits in rungs
        if top is None or size.height <= top.height
    )


def name_of(asked: AskedRendition) -> str:
    """Its name, else its height: ``720p``."""
    return asked.name if asked.name is not None else f"{asked.resolution.height}p"


def check_names(names: Sequence[str]) -> None:
    """ValueError names the rendition whose name is no name, or not its own."""
    for number, name in enumerate(names):
        if not NAME.fullmatch(name) or _RESERVED.fullmatch(name):
            raise ValueError(
                f"{name!r} is no name of a rendition: small letters, digits, '-' and '_',"
                " at most 32, not 'audio', 'audio-1' and so on, not 'master'"
            )
        if name in names[:number]:
            raise ValueError(f"two renditions are called {name!r}; give each a name of its own")
