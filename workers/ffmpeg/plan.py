"""What exactly shall come out of one source, decided before anything runs.

The plan says what the file shall be, ``command`` makes it, ``verify`` proves it.
"""

from dataclasses import dataclass, replace
from typing import Final

from ffrtmp.domain.media import Codec, Container, DynamicRange, OutputMode, Preset
from ffrtmp.domain.parameters import DEFAULT_TEST_SECONDS
from ffrtmp.domain.spec import JobSpec
from workers.errors import UnsupportedSpec
from workers.ffmpeg import pictures, sounds
from workers.ffmpeg.facts import UNTAGGED, Colour, MediaFacts
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.sounds import SoundPlan, SubtitlePlan

GOP_SECONDS: Final = 2
"""Distance of key frames where players or packagers join or switch between them."""
MIN_HLS_SECONDS: Final = 0.5
"""Of one shorter segment ffmpeg tells no bit rate, and leaves it out of the master playlist."""
BT709: Final = Colour(primaries="bt709", transfer="bt709", matrix="bt709", range="tv")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The output of one job from one source.

    ``source`` None is the synthetic test source. ``gop_seconds`` None leaves key frames to the
    encoder; else every rendition has one at each multiple of it. ``colour`` is what the output
    is tagged with. ``left_out`` says in words what of the source or the job does not come out.
    """

    source: MediaFacts | None
    container: Container
    makes_folder: bool
    is_hls: bool
    codec: Codec
    preset: Preset
    is_low_latency: bool
    is_two_pass: bool
    gop_seconds: int | None
    bit_depth: int
    is_tone_mapped: bool
    colour: Colour
    pictures: tuple[PicturePlan, ...]
    sounds: tuple[SoundPlan, ...]
    subtitles: tuple[SubtitlePlan, ...]
    limit_seconds: float | None
    """Only so much of the source is encoded."""
    left_out: tuple[str, ...] = ()

    @property
    def is_synthetic(self) -> bool:
        """True for the test source."""
        return self.source is None

    @property
    def largest(self) -> PicturePlan:
        """The picture with the most pixels."""
        return max(self.pictures, key=lambda picture: picture.pixels)

    @property
    def expected_seconds(self) -> float | None:
        """How long the output is going to be, None where nobody knows."""
        length = self.source.duration_seconds if self.source else None
        known = [seconds for seconds in (self.limit_seconds, length) if seconds]
        return min(known, default=None)

    @property
    def expected_bytes(self) -> int | None:
        """What its pictures come to at the rates asked for; None where a quality decides."""
        rates = [picture.bits_per_second for picture in self.pictures]
        if self.expected_seconds is None or None in rates:
            return None
        return int(self.expected_seconds * sum(rate or 0 for rate in rates) / 8)


def plan_of(spec: JobSpec, source: MediaFacts | None) -> Plan:
    """What the job comes to for this source; UnsupportedSpec where that is nothing."""
    is_tone_mapped = _is_tone_mapped(spec, source)
    chosen, too_large = pictures.plan_pictures(spec, source)
    tracks, untaken = sounds.plan_subtitles(spec, source)
    has_gops = spec.is_low_latency or spec.makes_folder
    made = Plan(
        source=source,
        container=spec.container,
        makes_folder=spec.makes_folder,
        is_hls=spec.output_mode is OutputMode.HLS,
        codec=spec.codec,
        preset=spec.preset,
        is_low_latency=spec.is_low_latency,
        is_two_pass=spec.is_two_pass,
        gop_seconds=GOP_SECONDS if has_gops else None,
        bit_depth=_bit_depth(spec, source),
        is_tone_mapped=is_tone_mapped,
        colour=_colour(source, is_tone_mapped=is_tone_mapped),
        pictures=chosen,
        sounds=sounds.plan_sounds(spec, source),
        subtitles=tracks,
        limit_seconds=_limit(spec, source),
        left_out=(*too_large, *untaken),
    )
    _check_length(made)
    return made


def _check_length(plan: Plan) -> None:
    seconds = plan.expected_seconds
    if plan.is_hls and seconds is not None and seconds < MIN_HLS_SECONDS:
        raise UnsupportedSpec(
            f"HLS needs at least {MIN_HLS_SECONDS:g} s, and {seconds:.2f} s come out;"
            " make a file of it"
        )


def _is_tone_mapped(spec: JobSpec, source: MediaFacts | None) -> bool:
    """A stream is watched on anything, and carries 8 bits: HDR would be wrong there."""
    wants_sdr = spec.dynamic_range is DynamicRange.SDR or spec.is_stream
    return wants_sdr and source is not None and source.video.colour.is_hdr


def _bit_depth(spec: JobSpec, source: MediaFacts | None) -> int:
    if spec.bit_depth is not None:
        return spec.bit_depth
    if spec.is_stream or source is None:
        return 8
    return 10 if source.video.bit_depth > 8 else 8


def _colour(source: MediaFacts | None, *, is_tone_mapped: bool) -> Colour:
    if source is None:
        return UNTAGGED
    colour = source.video.colour
    if is_tone_mapped:
        return BT709
    if colour.is_rgb:
        return replace(colour, matrix=BT709.matrix, range=BT709.range)
    return colour


def _limit(spec: JobSpec, source: MediaFacts | None) -> float | None:
    if spec.duration_seconds is None and source is None and not spec.is_stream:
        return DEFAULT_TEST_SECONDS
    return spec.duration_seconds
