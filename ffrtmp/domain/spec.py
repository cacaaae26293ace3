"""What a node is told to do: everything decided at submit, nothing known of the source yet."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final, TypeVar

from ffrtmp.domain.media import (
    Audio,
    Channels,
    Codec,
    Container,
    DynamicRange,
    Engine,
    Fit,
    FrameSize,
    Hardware,
    Metric,
    OutputMode,
    Preset,
    Subtitles,
    Verify,
)

Number = TypeVar("Number", int, float)


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One picture that comes out of the one decode.

    Its rate is a quality (``crf``), a bit rate, or a quality under a ceiling
    (``crf`` and ``max_bits_per_second``). ``size`` None is the source's own, ``fps`` None its
    timing.
    """

    name: str
    size: FrameSize | None = None
    fps: Fraction | None = None
    crf: int | None = None
    bits_per_second: int | None = None
    max_bits_per_second: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """What becomes of the sound; ``tracks`` counts the source's from 1, None is all of them."""

    codec: Audio = Audio.AUTO
    tracks: tuple[int, ...] | None = None
    channels: Channels = Channels.KEEP
    bits_per_second: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """What is measured of output against input; below ``min_vmaf`` the output is not accepted."""

    metrics: tuple[Metric, ...] = ()
    min_vmaf: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one attempt may take; None is no limit. 100 percent is one core."""

    timeout_seconds: float | None = None
    max_cpu_percent: int | None = None
    max_memory_mb: int | None = None
    max_disk_mb: int | None = None

    def within(self, ceilings: "Limits") -> "Limits":
        """These, each no higher than its ceiling; where none is asked the ceiling is the limit."""
        return Limits(
            timeout_seconds=_lower(self.timeout_seconds, ceilings.timeout_seconds),
            max_cpu_percent=_lower(self.max_cpu_percent, ceilings.max_cpu_percent),
            max_memory_mb=_lower(self.max_memory_mb, ceilings.max_memory_mb),
            max_disk_mb=_lower(self.max_disk_mb, ceilings.max_disk_mb),
        )


def _lower(asked: Number | None, ceiling: Number | None) -> Number | None:
    return min((one for one in (asked, ceiling) if one is not None), default=None)


USUAL_SOUND: Final = Sound()
UNMEASURED: Final = Quality()
NO_LIMITS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One job, as the node that runs it needs it.

    ``input`` None is the synthetic test source. All renditions have one codec and one preset;
    ``fits`` and ``may_upscale`` say how their sizes meet a source of another shape or a smaller
    one. ``bit_depth`` None is the source's.
    """

    input: str | None
    is_looped: bool = False
    output: str | None = None
    output_mode: OutputMode = OutputMode.FILE
    rtmp_url: str | None = None
    overwrite: bool = False
    engine: Engine = Engine.AUTO
    hardware: Hardware = Hardware.AUTO
    container: Container = Container.MP4
    codec: Codec
    preset: Preset
    is_low_latency: bool = False
    is_two_pass: bool = False
    renditions: tuple[Rendition, ...]
    makes_folder: bool = False
    fit: Fit = Fit.PAD
    may_upscale: bool = True
    bit_depth: int | None = None
    dynamic_range: DynamicRange = DynamicRange.KEEP
    sound: Sound = USUAL_SOUND
    subtitles: Subtitles = Subtitles.AUTO
    duration_seconds: float | None = None
    verify: Verify = Verify.PROBE
    quality: Quality = UNMEASURED
    limits: Limits = NO_LIMITS

    @property
    def is_stream(self) -> bool:
        """True where nothing is written: it counts while it runs."""
        return self.output_mode is OutputMode.RTMP
