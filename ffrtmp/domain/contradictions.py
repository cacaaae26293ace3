"""Which parameters of a job contradict each other, said by name before anything is stored."""

from collections.abc import Iterator
from typing import Final

from ffrtmp.domain.errors import InvalidRequest
from ffrtmp.domain.locations import Kind, is_live, kind_of
from ffrtmp.domain.media import (
    Audio,
    Channels,
    Codec,
    Container,
    Engine,
    Hardware,
    OutputMode,
    Verify,
)
from ffrtmp.domain.spec import JobSpec

ENGINE: Final = "engine"
WEBM_CODECS: Final = (Codec.VP9, Codec.AV1)
HLS_CODECS: Final = (Codec.H264, Codec.HEVC, Codec.AV1)
FLV_AUDIO: Final = (Audio.AUTO, Audio.AAC, Audio.NONE)
HLS_AUDIO: Final = (Audio.AUTO, Audio.AAC, Audio.COPY, Audio.NONE)
WEBM_AUDIO: Final = (Audio.AUTO, Audio.OPUS, Audio.COPY, Audio.NONE)

Fault = tuple[str, str]
"""The parameter, and what is wrong with it."""


def invalid(parameter: str, message: str) -> InvalidRequest:
    """The refusal of one parameter, or of the ``engine``, which stands beside them."""
    field = parameter if parameter == ENGINE else f"parameters.{parameter}"
    return InvalidRequest(message, field=field)


def check(spec: JobSpec) -> None:
    """InvalidRequest names the first parameter that does not go with another."""
    for rule in (_engines, _outputs, _inputs, _containers, _streams, _passes, _ceilings, _sounds):
        for parameter, message in rule(spec):
            raise invalid(parameter, message)


def _engines(spec: JobSpec) -> Iterator[Fault]:
    if spec.engine is not Engine.GSTREAMER:
        return
    if not spec.is_stream:
        yield ENGINE, "gstreamer publishes streams: output_mode rtmp"
    if spec.hardware not in (Hardware.AUTO, Hardware.CPU):
        yield "hardware", "the engine gstreamer encodes on the CPU"
    if spec.input is not None and kind_of(spec.input) is not Kind.PATH:
        yield "input", "the engine gstreamer reads files of the node; use ffmpeg"
    if spec.is_looped:
        yield "loop", "the engine gstreamer plays a file once; use ffmpeg"


def _outputs(spec: JobSpec) -> Iterator[Fault]:
    match spec.output_mode:
        case OutputMode.RTMP if spec.rtmp_url is None:
            yield "rtmp_url", "output_mode rtmp needs one, such as rtmp://host/app/name"
        case OutputMode.RTMP if spec.output is not None:
            yield "output", "output_mode rtmp writes no file"
        case OutputMode.FILE | OutputMode.HLS if spec.rtmp_url is not None:
            yield "rtmp_url", "goes with output_mode rtmp"
        case OutputMode.HLS if spec.container is not Container.MP4:
            yield "container", "HLS has fragments of mp4; leave it out"
        case OutputMode.HLS if spec.codec not in HLS_CODECS:
            yield "codec", f"players of HLS do not take {spec.codec}; use h264, hevc or av1"
        case OutputMode.HLS if spec.sound.codec not in HLS_AUDIO:
            yield "audio", f"players of HLS do not take {spec.sound.codec}; use aac"
    if spec.input is not None and spec.output == spec.input:
        yield "output", "is the input"


def _inputs(spec: JobSpec) -> Iterator[Fault]:
    if is_live(spec.input) and not spec.is_stream:
        yield "input", "a live source goes with output_mode rtmp"
    if spec.is_looped and not spec.is_stream:
        yield "loop", "goes with output_mode rtmp"
    elif spec.is_looped and (spec.input is None or kind_of(spec.input) is not Kind.PATH):
        yield "loop", "goes with an input that is a file of the node"


def _containers(spec: JobSpec) -> Iterator[Fault]:
    if spec.container is not Container.WEBM or spec.is_stream:
        return
    field = "output" if spec.output is not None and not spec.makes_folder else "container"
    if spec.codec not in WEBM_CODECS:
        yield field, f"a webm file cannot hold {spec.codec}; use mp4 or mkv, or vp9 or av1"
    if spec.sound.codec not in WEBM_AUDIO:
        yield "audio", f"a webm file cannot hold {spec.sound.codec}; use opus, copy or none"


def _streams(spec: JobSpec) -> Iterator[Fault]:
    if not spec.is_stream:
        return
    if spec.makes_folder:
        yield "renditions", "output_mode rtmp publishes one rendition"
    if spec.codec is not Codec.H264:
        yield "codec", f"a stream over rtmp carries h264 only, not {spec.codec}"
    if spec.sound.codec not in FLV_AUDIO:
        yield "audio", f"a stream over rtmp cannot carry {spec.sound.codec}; use aac or none"
    if spec.bit_depth == 10:
        yield "bit_depth", "a stream over rtmp has 8 bits"
    if spec.quality.metrics:
        asked = "min_vmaf" if spec.quality.min_vmaf is not None else spec.quality.metrics[0]
        yield asked, "a stream leaves no file to measure"
    if spec.verify is Verify.DECODE:
        yield "verify", "a stream leaves no file to decode"
    if spec.sound.tracks is not None and len(spec.sound.tracks) > 1:
        yield "audio_tracks", "a stream over rtmp carries one"


def _passes(spec: JobSpec) -> Iterator[Fault]:
    if not spec.is_two_pass:
        return
    if spec.hardware is not Hardware.CPU:
        yield "two_pass", f"GPUs encode in one pass, and hardware is {spec.hardware}"
    if spec.codec is Codec.AV1:
        yield "two_pass", "ffmpeg's SVT-AV1 encodes in one pass; use crf or bitrate alone"
    if spec.is_low_latency:
        yield "two_pass", "a live encode has no time for two"
    if any(rendition.bits_per_second is None for rendition in spec.renditions):
        yield "two_pass", "meets a bitrate; give one, or leave it out"


def _ceilings(spec: JobSpec) -> Iterator[Fault]:
    for rendition in spec.renditions:
        has_both = rendition.bits_per_second is not None and rendition.max_bits_per_second
        if spec.codec is Codec.AV1 and has_both:
            yield "max_bitrate", "SVT-AV1 caps a crf, not a bitrate; give one of the two"


def _sounds(spec: JobSpec) -> Iterator[Fault]:
    sound = spec.sound
    is_encoded = sound.codec not in (Audio.COPY, Audio.NONE)
    if sound.codec is Audio.NONE and sound.tracks is not None:
        yield "audio_tracks", "audio is none"
    if not is_encoded and sound.channels is not Channels.KEEP:
        yield "audio_channels", f"audio is {sound.codec}"
    if not is_encoded and sound.bits_per_second is not None:
        yield "audio_bitrate", f"audio is {sound.codec}"
