"""What a media file is, measured: the probe's answer and the verifier's material."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

HDR_TRANSFERS: Final = ("smpte2084", "arib-std-b67")
"""PQ (HDR10) and HLG."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Colour:
    """How numbers become light, by ffmpeg's names; None where the file does not say.

    ``range`` is ``tv`` or ``pc``. The last two are HDR10's static metadata.
    """

    primaries: str | None = None
    transfer: str | None = None
    matrix: str | None = None
    range: str | None = None
    has_mastering_display: bool = False
    has_light_level: bool = False

    @property
    def is_hdr(self) -> bool:
        """True for PQ and HLG."""
        return self.transfer in HDR_TRANSFERS

    @property
    def is_rgb(self) -> bool:
        """True for red, green and blue, which the outputs never have."""
        return self.matrix == "gbr"


UNTAGGED: Final = Colour()


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """The first real video track (a cover picture is none).

    Times count from the beginning of the file, which is where its first track begins.
    """

    codec: str
    """ffmpeg's short name; equal to our Codec's value where that has one."""
    width: int
    height: int
    fps: Fraction | None
    frames: int | None
    """Counted where the probe was asked to, else what the file says, else None."""
    pixel_format: str | None
    start_seconds: float
    end_seconds: float | None
    """When its last frame ends; measured for local files, else what the file says."""
    sample_aspect: Fraction = Fraction(1)
    """Width of a pixel over its height, before any rotation; 1 where the file does not say."""
    rotation_degrees: int = 0
    """Clockwise, 0 to 359: what a player must turn the picture by."""
    bit_depth: int = 8
    colour: Colour = UNTAGGED
    is_interlaced: bool = False
    is_variable_rate: bool = False
    """True where its frames are known to lie unevenly."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFacts:
    """One audio track."""

    codec: str
    channels: int
    sample_rate: int
    end_seconds: float | None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitleFacts:
    """One track of subtitles; ``is_text`` is False for pictures."""

    codec: str
    is_text: bool
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """One media file or stream. ``container`` is ffmpeg's demuxer name, ``mov,mp4,…``."""

    container: str
    duration_seconds: float | None
    size_bytes: int | None
    video: VideoFacts
    audio: tuple[AudioFacts, ...]
    subtitles: tuple[SubtitleFacts, ...] = ()
    has_one_clock: bool = True
    """False for a local file whose times may start over or jump, as those of joined MPEG-TS
    recordings do: how long it plays cannot be read from them."""
