"""What a media file is, measured: the probe's answer and the verifier's material."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(frozen=True, slots=True, kw_only=True)
class VideoFacts:
    """The first real video track (a cover picture is none).

    Times count from the beginning of the file, which is where its first track begins.
    """

    codec: str
    """ffmpeg's short name; equal to our Codec's value where that has one."""
    width: int
    height: int
    rotation_degrees: int
    """Clockwise, 0 to 359: what a player must turn the picture by."""
    fps: Fraction | None
    frames: int | None
    """Counted where the probe was asked to, else what the file says, else None."""
    pixel_format: str | None
    start_seconds: float
    end_seconds: float | None
    """When its last frame ends; measured for local files, else what the file says."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AudioFacts:
    """One audio track."""

    codec: str
    channels: int
    sample_rate: int
    end_seconds: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFacts:
    """One media file or stream. ``container`` is ffmpeg's demuxer name, ``mov,mp4,…``."""

    container: str
    duration_seconds: float | None
    size_bytes: int | None
    video: VideoFacts
    audio: tuple[AudioFacts, ...]
    has_one_clock: bool = True
    """False for a local file whose times may start over or jump, as those of joined MPEG-TS
    recordings do: how long it plays cannot be read from them."""
