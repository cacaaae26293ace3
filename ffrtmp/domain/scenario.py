"""Scenario names are grammar: what the name says is what the output has.

``4K60-h265``, ``live-1080p30-h264``, ``abr-h264``: tokens joined by hyphens, in any order and
case, each kind at most once. Tokens: a size with an optional frame rate, a codec, a kind, and
``abr`` for a ladder of renditions.
"""

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction

from ffrtmp.domain.media import FRAME_SIZES, SIZE_NAMES, Codec, FrameSize, codec_named, frame_rate

DEFAULT_CODEC = Codec.H264
MAX_NAME_LENGTH = 64


class Kind(StrEnum):
    """What the scenario is for; it chooses the default preset."""

    LIVE = "live"
    BATCH = "batch"
    TEST = "test"


KNOWN_TOKENS = (
    *SIZE_NAMES,
    "SIZE+fps such as 1080p30 or 4K60",
    "h264",
    "h265",
    "hevc",
    "av1",
    "vp9",
    *Kind,
    "abr",
)
LADDER = "abr"


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A parsed name; None is a token the name does not have."""

    name: str
    size: FrameSize | None = None
    fps: Fraction | None = None
    codec: Codec | None = None
    kind: Kind | None = None
    is_ladder: bool = False


_SIZE = re.compile(rf"({'|'.join(FRAME_SIZES)})(\d+(?:\.\d+)?)?")


def parse_scenario(name: str) -> Scenario:
    """The scenario a name spells; ValueError with the list of tokens where it spells none."""
    if not name or len(name) > MAX_NAME_LENGTH:
        raise ValueError(f"a scenario name has 1 to {MAX_NAME_LENGTH} characters; {_known()}")
    found: dict[str, object] = {}
    for token in name.split("-"):
        for part, value in _meaning(name, token).items():
            if part in found:
                raise ValueError(f"scenario {name!r} names two values for {part}: {token!r}")
            found[part] = value
    return Scenario(name=name, **found)  # type: ignore[arg-type]


def _meaning(name: str, token: str) -> dict[str, object]:
    lowered = token.lower()
    size = _SIZE.fullmatch(lowered)
    if size is not None:
        meaning: dict[str, object] = {"size": FrameSize.parse(size[1])}
        if size[2]:
            meaning["fps"] = frame_rate(size[2])
        return meaning
    if lowered in list(Kind):
        return {"kind": Kind(lowered)}
    if lowered == LADDER:
        return {"is_ladder": True}
    try:
        return {"codec": codec_named(token)}
    except ValueError:
        raise ValueError(f"scenario {name!r} has an unknown token {token!r}; {_known()}") from None


def _known() -> str:
    return "known tokens: " + ", ".join(KNOWN_TOKENS)
