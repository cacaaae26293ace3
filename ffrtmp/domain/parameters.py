"""What a job asks for, and what that comes to once its scenario and the defaults are applied."""

from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, TypeVar

from ffrtmp.domain import contradictions
from ffrtmp.domain.contradictions import invalid
from ffrtmp.domain.ladder import AskedRendition, check_names, name_of, usual_ladder
from ffrtmp.domain.locations import check_folder, container_of
from ffrtmp.domain.media import (
    BIT_DEPTHS,
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
    bits_per_second,
)
from ffrtmp.domain.placement import GSTREAMER_NEED, TEN_BIT
from ffrtmp.domain.scenario import DEFAULT_CODEC, Kind, Scenario
from ffrtmp.domain.spec import NO_LIMITS, JobSpec, Limits, Quality, Rendition, Sound

T = TypeVar("T")

DEFAULT_TEST_SECONDS: Final = 5.0
TEST_FPS: Final = Fraction(30)
TEST_SIZE: Final = FrameSize(width=1920, height=1080)
DEFAULT_CRF: Final = {Codec.H264: 23, Codec.HEVC: 28, Codec.AV1: 35, Codec.VP9: 32}
MAX_CRF: Final = {Codec.H264: 51, Codec.HEVC: 51, Codec.AV1: 63, Codec.VP9: 63}
KIND_PRESETS: Final = {
    Kind.LIVE: Preset.VERYFAST,
    Kind.BATCH: Preset.MEDIUM,
    Kind.TEST: Preset.ULTRAFAST,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JobParameters:
    """The typed values of a job body's ``parameters``; None takes the scenario's or a default."""

    input: str | None = None
    loop: bool = False
    output: str | None = None
    container: Container | None = None
    codec: Codec | None = None
    bitrate: str | None = None
    max_bitrate: str | None = None
    two_pass: bool = False
    preset: Preset | None = None
    crf: int | None = None
    resolution: FrameSize | None = None
    fit: Fit | None = None
    upscale: bool | None = None
    fps: Fraction | None = None
    bit_depth: int | None = None
    dynamic_range: DynamicRange = DynamicRange.KEEP
    renditions: tuple[AskedRendition, ...] | None = None
    duration_seconds: float | None = None
    audio: Audio = Audio.AUTO
    audio_tracks: tuple[int, ...] | None = None
    audio_channels: Channels = Channels.KEEP
    audio_bitrate: str | None = None
    subtitles: Subtitles = Subtitles.AUTO
    hardware: Hardware = Hardware.AUTO
    output_mode: OutputMode | None = None
    rtmp_url: str | None = None
    overwrite: bool = False
    verify: Verify = Verify.PROBE
    metrics: tuple[Metric, ...] = ()
    min_vmaf: float | None = None
    limits: Limits = NO_LIMITS


def resolve(scenario: Scenario, parameters: JobParameters, engine: Engine) -> JobSpec:
    """The work a job asks for; InvalidRequest names the parameter that contradicts."""
    asked = replace(parameters, output_mode=_mode(scenario, parameters))
    is_ladder = scenario.is_ladder or asked.renditions is not None
    makes_folder = is_ladder or asked.output_mode is OutputMode.HLS
    container = _container(asked, makes_folder=makes_folder)
    spec = JobSpec(
        input=asked.input,
        is_looped=asked.loop,
        output=asked.output,
        output_mode=asked.output_mode or OutputMode.FILE,
        rtmp_url=asked.rtmp_url,
        overwrite=asked.overwrite,
        engine=engine,
        hardware=Hardware.CPU
        if asked.two_pass and asked.hardware is Hardware.AUTO
        else asked.hardware,
        container=container,
        codec=_agreed("codec", scenario.codec, asked.codec) or _default_codec(container),
        preset=asked.preset or KIND_PRESETS.get(scenario.kind or Kind.BATCH, Preset.MEDIUM),
        is_low_latency=asked.output_mode is OutputMode.RTMP or scenario.kind is Kind.LIVE,
        is_two_pass=asked.two_pass,
        renditions=(),
        makes_folder=makes_folder,
        fit=asked.fit or (Fit.INSIDE if is_ladder else Fit.PAD),
        may_upscale=not is_ladder if asked.upscale is None else asked.upscale,
        bit_depth=asked.bit_depth,
        dynamic_range=asked.dynamic_range,
        sound=_sound(asked),
        subtitles=asked.subtitles,
        duration_seconds=_duration(asked),
        verify=asked.verify,
        quality=_quality(asked),
        limits=asked.limits,
    )
    if asked.bit_depth is not None and asked.bit_depth not in BIT_DEPTHS:
        raise invalid("bit_depth", f"{asked.bit_depth} is neither 8 nor 10")
    spec = replace(spec, renditions=_renditions(scenario, asked, spec.codec))
    contradictions.check(spec)
    return spec


def required_capability(spec: JobSpec) -> str:
    """What a node must be able to do, as it names it itself: ``auto:h264``, ``nvenc:hevc:10bit``,
    ``gstreamer:cpu:h264``."""
    if spec.engine is Engine.GSTREAMER:
        return GSTREAMER_NEED
    suffix = f":{TEN_BIT}" if spec.bit_depth == 10 else ""
    return f"{spec.hardware}:{spec.codec}{suffix}"


def _mode(scenario: Scenario, parameters: JobParameters) -> OutputMode:
    if parameters.output_mode is not None:
        return parameters.output_mode
    return OutputMode.HLS if scenario.is_ladder else OutputMode.FILE


def _container(asked: JobParameters, *, makes_folder: bool) -> Container:
    if asked.output is None:
        return asked.container or Container.MP4
    try:
        if makes_folder:
            check_folder(asked.output)
            return asked.container or Container.MP4
        named = container_of(asked.output)
    except ValueError as error:
        raise invalid("output", str(error)) from None
    return _agreed("container", named, asked.container, who="the output's extension") or named


def _renditions(scenario: Scenario, asked: JobParameters, codec: Codec) -> tuple[Rendition, ...]:
    fps = _agreed("fps", scenario.fps, asked.fps) or (TEST_FPS if asked.input is None else None)
    _check_crf("crf", asked.crf, codec)
    if asked.renditions is not None:
        return _named(scenario, asked, asked.renditions, codec, fps)
    size = _agreed("resolution", scenario.size, asked.resolution)
    if scenario.is_ladder:
        _refuse_rates(asked, "a ladder has the bit rates of its renditions")
        crf = DEFAULT_CRF[codec] if asked.crf is None else asked.crf
        return usual_ladder(top=size, codec=codec, crf=crf, fps=fps)
    if size is None and asked.input is None:
        size = TEST_SIZE
    bits, ceiling = _bits("bitrate", asked.bitrate), _bits("max_bitrate", asked.max_bitrate)
    _check_rate("", asked.crf, bits, ceiling)
    return (
        Rendition(
            name="source" if size is None else f"{size.height}p",
            size=size,
            fps=fps,
            crf=asked.crf if asked.crf is not None or bits is not None else DEFAULT_CRF[codec],
            bits_per_second=bits,
            max_bits_per_second=ceiling,
        ),
    )


def _named(
    scenario: Scenario,
    asked: JobParameters,
    wanted: tuple[AskedRendition, ...],
    codec: Codec,
    fps: Fraction | None,
) -> tuple[Rendition, ...]:
    _refuse_rates(asked, "each of the renditions has its own")
    if scenario.is_ladder:
        raise invalid("renditions", "the scenario's ladder names them; leave out one of the two")
    if asked.resolution is not None or scenario.size is not None:
        raise invalid("renditions", "each has its own resolution; leave out the job's")
    names = [name_of(rendition) for rendition in wanted]
    try:
        check_names(names)
    except ValueError as error:
        raise invalid("renditions", str(error)) from None
    return tuple(
        _one(number, name, rendition, asked.crf, codec, fps)
        for number, (name, rendition) in enumerate(zip(names, wanted, strict=True))
    )


def _one(
    number: int,
    name: str,
    asked: AskedRendition,
    job_crf: int | None,
    codec: Codec,
    fps: Fraction | None,
) -> Rendition:
    where = f"renditions.{number}."
    _check_crf(f"{where}crf", asked.crf, codec)
    _check_rate(where, asked.crf, asked.bits_per_second, asked.max_bits_per_second)
    crf = asked.crf
    if crf is None and asked.bits_per_second is None:
        crf = DEFAULT_CRF[codec] if job_crf is None else job_crf
    return Rendition(
        name=name,
        size=asked.resolution,
        fps=asked.fps or fps,
        crf=crf,
        bits_per_second=asked.bits_per_second,
        max_bits_per_second=asked.max_bits_per_second,
    )


def _sound(asked: JobParameters) -> Sound:
    bits = _bits("audio_bitrate", asked.audio_bitrate)
    return Sound(
        codec=asked.audio,
        tracks=asked.audio_tracks,
        channels=asked.audio_channels,
        bits_per_second=bits,
    )


def _quality(asked: JobParameters) -> Quality:
    metrics = asked.metrics
    if asked.min_vmaf is not None and Metric.VMAF not in metrics:
        metrics = (Metric.VMAF, *metrics)
    return Quality(metrics=metrics, min_vmaf=asked.min_vmaf)


def _duration(asked: JobParameters) -> float | None:
    is_endless = asked.input is None and asked.output_mode is not OutputMode.RTMP
    if asked.duration_seconds is None and is_endless:
        return DEFAULT_TEST_SECONDS
    return asked.duration_seconds


def _default_codec(container: Container) -> Codec:
    return Codec.VP9 if container is Container.WEBM else DEFAULT_CODEC


def _bits(field: str, text: str | None) -> int | None:
    try:
        return None if text is None else bits_per_second(text)
    except ValueError as error:
        raise invalid(field, str(error)) from None


def _refuse_rates(asked: JobParameters, why: str) -> None:
    for field, value in (("bitrate", asked.bitrate), ("max_bitrate", asked.max_bitrate)):
        if value is not None:
            raise invalid(field, why)


def _check_crf(field: str, crf: int | None, codec: Codec) -> None:
    if crf is not None and not 0 <= crf <= MAX_CRF[codec]:
        raise invalid(field, f"crf {crf} is outside 0 to {MAX_CRF[codec]} for {codec}")


def _check_rate(where: str, crf: int | None, bits: int | None, ceiling: int | None) -> None:
    if crf is not None and bits is not None:
        raise invalid(f"{where}crf", "give bitrate or crf, not both; max_bitrate caps a crf")
    if bits is not None and ceiling is not None and ceiling < bits:
        raise invalid(f"{where}max_bitrate", "is below the bitrate that it should cap")


def _agreed(field: str, said: T | None, asked: T | None, *, who: str = "the scenario") -> T | None:
    if said is not None and asked is not None and said != asked:
        raise invalid(field, f"{asked} contradicts {who}, which says {said}")
    return asked if asked is not None else said
