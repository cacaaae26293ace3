"""What a job asks for, and what that comes to once its scenario and the defaults are applied."""

import re
from dataclasses import dataclass
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Final, TypeVar
from urllib.parse import urlsplit

from ffrtmp.domain.errors import InvalidRequest
from ffrtmp.domain.media import (
    Audio,
    Codec,
    Container,
    Engine,
    FrameSize,
    Hardware,
    OutputMode,
    Preset,
    bits_per_second,
)
from ffrtmp.domain.scenario import DEFAULT_CODEC, DEFAULT_SIZE, Kind, Scenario

T = TypeVar("T")

DEFAULT_TEST_SECONDS: Final = 5.0
TEST_FPS: Final = Fraction(30)
INPUT_SCHEMES: Final = ("http", "https")
STREAM_SCHEMES: Final = ("rtmp", "rtmps")
MAX_LOCATION_LENGTH: Final = 4096
MIN_STREAM_PATH: Final = len("/a/b")
DEFAULT_CRF: Final = {Codec.H264: 23, Codec.HEVC: 28, Codec.AV1: 35, Codec.VP9: 32}
MAX_CRF: Final = {Codec.H264: 51, Codec.HEVC: 51, Codec.AV1: 63, Codec.VP9: 63}
KIND_PRESETS: Final = {
    Kind.LIVE: Preset.VERYFAST,
    Kind.BATCH: Preset.MEDIUM,
    Kind.TEST: Preset.ULTRAFAST,
}
WEBM_CODECS: Final = (Codec.VP9, Codec.AV1)
FLV_AUDIO: Final = (Audio.AUTO, Audio.AAC, Audio.NONE)
WEBM_AUDIO: Final = (Audio.AUTO, Audio.OPUS, Audio.COPY, Audio.NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class JobParameters:
    """The typed values of a job body's ``parameters``; None takes the scenario's or a default."""

    input: str | None = None
    output: str | None = None
    codec: Codec | None = None
    bitrate: str | None = None
    preset: Preset | None = None
    crf: int | None = None
    resolution: FrameSize | None = None
    fps: Fraction | None = None
    duration_seconds: float | None = None
    audio: Audio = Audio.AUTO
    hardware: Hardware = Hardware.AUTO
    output_mode: OutputMode = OutputMode.FILE
    rtmp_url: str | None = None
    overwrite: bool = False
    timeout_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rendition:
    """One output, fully decided: nothing about it is left to the encoder's defaults."""

    size: FrameSize
    fps: Fraction | None
    codec: Codec
    preset: Preset
    crf: int | None
    bits_per_second: int | None
    audio: Audio
    container: Container
    live: bool
    duration_seconds: float | None


def resolve(scenario: Scenario, parameters: JobParameters) -> Rendition:
    """The rendition a job asks for; InvalidRequest names the parameter that contradicts."""
    _check_output_mode(parameters)
    is_stream = parameters.output_mode is OutputMode.RTMP
    container = _container(parameters.output)
    codec = _agreed("codec", scenario.codec, parameters.codec) or _default_codec(container)
    audio = parameters.audio
    if container is Container.WEBM and codec not in WEBM_CODECS:
        raise _invalid("output", f"a webm file cannot hold {codec}; use mp4 or mkv, or vp9 or av1")
    if container is Container.WEBM and audio not in WEBM_AUDIO:
        raise _invalid("audio", f"a webm file cannot hold {audio}; use opus, copy or none")
    if is_stream and codec is not Codec.H264:
        raise _invalid("codec", f"a stream over rtmp carries h264 only, not {codec}")
    if is_stream and audio not in FLV_AUDIO:
        raise _invalid("audio", f"a stream over rtmp cannot carry {audio}; use aac or none")
    bits = _bits(parameters)
    crf = parameters.crf
    if crf is not None and not 0 <= crf <= MAX_CRF[codec]:
        raise _invalid("crf", f"crf {crf} is outside 0 to {MAX_CRF[codec]} for {codec}")
    synthetic = parameters.input is None
    seconds = parameters.duration_seconds
    is_endless = synthetic and not seconds and not is_stream
    return Rendition(
        size=_agreed("resolution", scenario.size, parameters.resolution) or DEFAULT_SIZE,
        fps=_agreed("fps", scenario.fps, parameters.fps) or (TEST_FPS if synthetic else None),
        codec=codec,
        preset=parameters.preset or KIND_PRESETS.get(scenario.kind or Kind.BATCH, Preset.MEDIUM),
        crf=crf if crf is not None or bits is not None else DEFAULT_CRF[codec],
        bits_per_second=bits,
        audio=audio,
        container=container,
        live=is_stream or scenario.kind is Kind.LIVE,
        duration_seconds=DEFAULT_TEST_SECONDS if is_endless else seconds,
    )


def required_capability(rendition: Rendition, hardware: Hardware, engine: Engine) -> str:
    """What a node must be able to do, as it names it itself: ``auto:h264``, ``nvenc:hevc``."""
    prefix = "gstreamer:" if engine is Engine.GSTREAMER else ""
    return f"{prefix}{hardware}:{rendition.codec}"


def check_input(location: str) -> str:
    """A local path or an http(s) URL, unchanged; ValueError for options and other protocols."""
    _check_text(location)
    scheme = re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location)
    if scheme is None:
        return location
    if urlsplit(location).scheme.lower() not in INPUT_SCHEMES or "://" not in location:
        raise ValueError(f"protocol {scheme[0]!r} is not allowed; give a path or an http(s) URL")
    if not urlsplit(location).hostname:
        raise ValueError("the URL has no host")
    return location


def is_local(location: str | None) -> bool:
    """True for an input that a checked job reads from the node itself: a path, or a test source."""
    return location is None or not re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location)


def check_output(location: str) -> str:
    """A local path ending in .mp4, .mkv or .webm, unchanged; ValueError otherwise."""
    _check_text(location)
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", location):
        raise ValueError("an output is a path, not a URL")
    if ".." in PurePosixPath(location).parts:
        raise ValueError("an output path has no '..'")
    if PurePosixPath(location).suffix.lower().lstrip(".") not in list(Container):
        raise ValueError("an output file ends in .mp4, .mkv or .webm")
    return location


def check_rtmp_url(location: str) -> str:
    """``rtmp://host[:port]/app/name``, also rtmps, unchanged; ValueError otherwise."""
    _check_text(location)
    parts = urlsplit(location)
    if parts.scheme.lower() not in STREAM_SCHEMES or not parts.hostname:
        raise ValueError("is no stream address such as rtmp://host/app/name")
    if parts.username is not None or parts.password is not None:
        raise ValueError("must not hold a user or a password")
    if not re.fullmatch(r"[!-~]+", location) or len(parts.path) < MIN_STREAM_PATH:
        raise ValueError(
            "has an application and a stream name, and no blanks: rtmp://host/app/name"
        )
    return location


def _check_output_mode(parameters: JobParameters) -> None:
    match parameters.output_mode:
        case OutputMode.FILE if parameters.rtmp_url is not None:
            raise _invalid("rtmp_url", "goes with output_mode rtmp")
        case OutputMode.RTMP if parameters.rtmp_url is None:
            raise _invalid("rtmp_url", "output_mode rtmp needs one, such as rtmp://host/app/name")
        case OutputMode.RTMP if parameters.output is not None:
            raise _invalid("output", "output_mode rtmp writes no file")
        case OutputMode.HLS:
            raise _invalid("output_mode", "this release writes files and rtmp streams, not hls")


def _check_text(location: str) -> None:
    if not location or len(location) > MAX_LOCATION_LENGTH:
        raise ValueError(f"has 1 to {MAX_LOCATION_LENGTH} characters")
    if location.startswith("-"):
        raise ValueError("must not begin with '-'")
    if any(ord(character) < 32 or ord(character) == 127 for character in location):
        raise ValueError("has control characters")


def _default_codec(container: Container) -> Codec:
    return Codec.VP9 if container is Container.WEBM else DEFAULT_CODEC


def _container(output: str | None) -> Container:
    if output is None:
        return Container.MP4
    return Container(PurePosixPath(output).suffix.lower().lstrip("."))


def _bits(parameters: JobParameters) -> int | None:
    if parameters.bitrate is None:
        return None
    if parameters.crf is not None:
        raise _invalid("crf", "give bitrate or crf, not both")
    return bits_per_second(parameters.bitrate)


def _agreed(field: str, said: T | None, asked: T | None) -> T | None:
    if said is not None and asked is not None and said != asked:
        raise _invalid(field, f"{asked} contradicts the scenario, which says {said}")
    return asked if asked is not None else said


def _invalid(parameter: str, message: str) -> InvalidRequest:
    return InvalidRequest(message, field=f"parameters.{parameter}")
