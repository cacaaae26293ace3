"""A job's ``parameters`` on the wire."""

from typing import Annotated

from pydantic import Field, StrictBool, StrictInt, StrictStr

from ffrtmp.domain.ladder import MAX_RENDITIONS, AskedRendition
from ffrtmp.domain.locations import MAX_LOCATION_LENGTH, check_input, check_output, check_rtmp_url
from ffrtmp.domain.media import (
    Audio,
    Channels,
    Container,
    DynamicRange,
    Fit,
    FrameSize,
    Hardware,
    Metric,
    OutputMode,
    Preset,
    Subtitles,
    Verify,
    audio_bits_per_second,
    bits_per_second,
    frame_rate,
)
from ffrtmp.domain.parameters import JobParameters
from ffrtmp.domain.spec import Limits
from ffrtmp.schemas.base import MAX_COUNT, MAX_WORD, CodecName, FrameRate, Seconds, Wire, text_of

MAX_TRACKS = 32
LOCATION = Field(max_length=MAX_LOCATION_LENGTH)
BitRate = Annotated[StrictStr, Field(max_length=MAX_WORD), text_of(bits_per_second)]
Resolution = Annotated[StrictStr, Field(max_length=MAX_WORD), text_of(FrameSize.parse)]
Crf = Annotated[StrictInt, Field(ge=-MAX_COUNT, le=MAX_COUNT)]
TrackNumber = Annotated[StrictInt, Field(ge=1, le=MAX_TRACKS)]


class ResourceLimits(Wire):
    """Limits an attempt must keep; beyond one it ends as ``limit_exceeded``."""

    timeout_sec: Seconds | None = None
    """Wall seconds one attempt may take."""
    max_cpu_percent: Annotated[StrictInt, Field(ge=1, le=100_000)] | None = None
    """Of one core: 250 is two and a half. It slows the attempt down, and never ends it."""
    max_memory_mb: Annotated[StrictInt, Field(ge=64, le=1 << 24)] | None = None
    max_disk_mb: Annotated[StrictInt, Field(ge=1, le=1 << 30)] | None = None
    """What the attempt may write."""

    def to_domain(self) -> Limits:
        """The same values."""
        return Limits(
            timeout_seconds=self.timeout_sec,
            max_cpu_percent=self.max_cpu_percent,
            max_memory_mb=self.max_memory_mb,
            max_disk_mb=self.max_disk_mb,
        )


class RenditionAsked(Wire):
    """One of several pictures made from one decode."""

    name: Annotated[StrictStr, Field(max_length=MAX_WORD)] | None = None
    """Names its file or folder; none takes its height, ``720p``."""
    resolution: Resolution
    bitrate: BitRate | None = None
    max_bitrate: BitRate | None = None
    crf: Crf | None = None
    fps: FrameRate | None = None

    def to_domain(self) -> AskedRendition:
        """The same values, typed."""
        return AskedRendition(
            name=self.name,
            resolution=FrameSize.parse(self.resolution),
            bits_per_second=bits_per_second(self.bitrate) if self.bitrate else None,
            max_bits_per_second=bits_per_second(self.max_bitrate) if self.max_bitrate else None,
            crf=self.crf,
            fps=frame_rate(self.fps) if self.fps else None,
        )


class Parameters(Wire):
    """What to do with the media; anything left out follows the scenario, then the defaults."""

    input: Annotated[StrictStr, LOCATION, text_of(check_input)] | None = None
    """Path on the node, or a URL of http(s) or s3; for streams also of rtmp(s) or srt; none makes
    a labelled test source."""
    loop: StrictBool = False
    """Stream the file again and again."""
    output: Annotated[StrictStr, LOCATION, text_of(check_output)] | None = None
    """Path or URL (http PUT, s3) ending in .mp4, .mkv or .webm, or that of a folder where several
    files are made; none puts it in the node's output folder."""
    container: Container | None = None
    codec: CodecName | None = None
    bitrate: BitRate | None = None
    max_bitrate: BitRate | None = None
    """Ceiling over a buffer of two seconds: of a crf, or of a bitrate that may vary."""
    two_pass: StrictBool = False
    preset: Preset | None = None
    crf: Crf | None = None
    resolution: Resolution | None = None
    fit: Fit | None = None
    """``pad`` makes the very size with bars, ``inside`` a picture that fits into it without."""
    upscale: StrictBool | None = None
    """Whether a picture may be larger than the source's: of a ladder none may, unless asked."""
    fps: FrameRate | None = None
    bit_depth: Annotated[StrictInt, Field(json_schema_extra={"enum": [8, 10]})] | None = None
    dynamic_range: DynamicRange = DynamicRange.KEEP
    renditions: (
        Annotated[list[RenditionAsked], Field(min_length=1, max_length=MAX_RENDITIONS)] | None
    ) = None
    duration: Seconds | None = None
    audio: Audio = Audio.AUTO
    audio_tracks: (
        Annotated[list[TrackNumber], Field(min_length=1, max_length=MAX_TRACKS)] | None
    ) = None
    """Numbers of the source's tracks, from 1; none keeps all."""
    audio_channels: Channels = Channels.KEEP
    audio_bitrate: (
        Annotated[StrictStr, Field(max_length=MAX_WORD), text_of(audio_bits_per_second)] | None
    ) = None
    subtitles: Subtitles = Subtitles.AUTO
    hardware: Hardware = Hardware.AUTO
    output_mode: OutputMode | None = None
    """``file`` unless the scenario is a ladder, which makes ``hls``."""
    rtmp_url: Annotated[StrictStr, LOCATION, text_of(check_rtmp_url)] | None = None
    """Where ``output_mode: rtmp`` publishes; one node at a time does."""
    overwrite: StrictBool = False
    verify: Verify = Verify.PROBE
    vmaf: StrictBool = False
    psnr: StrictBool = False
    ssim: StrictBool = False
    min_vmaf: Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)] | None = None
    """Below it the output is encoded once more, better, and then refused."""
    resource_limits: ResourceLimits = ResourceLimits()

    def to_domain(self) -> JobParameters:
        """The same values, typed."""
        chosen = ((Metric.VMAF, self.vmaf), (Metric.PSNR, self.psnr), (Metric.SSIM, self.ssim))
        return JobParameters(
            **self.model_dump(exclude=_CONVERTED),
            resolution=FrameSize.parse(self.resolution) if self.resolution else None,
            fps=frame_rate(self.fps) if self.fps else None,
            renditions=None
            if self.renditions is None
            else tuple(rendition.to_domain() for rendition in self.renditions),
            duration_seconds=self.duration,
            audio_tracks=None if self.audio_tracks is None else tuple(self.audio_tracks),
            metrics=tuple(metric for metric, is_asked in chosen if is_asked),
            limits=self.resource_limits.to_domain(),
        )


_CONVERTED = {
    *("resolution", "fps", "renditions", "duration", "audio_tracks", "vmaf", "psnr", "ssim"),
    "resource_limits",
}
"""Fields that the domain has under another name or type; all others are the same there."""
