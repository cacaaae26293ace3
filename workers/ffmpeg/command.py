"""From a job's spec and an encoder's target to ffmpeg's argument list, purely.

The flags of each encoder are in ``video_encoders``, those that choose a device in ``target``.
"""

from fractions import Fraction
from pathlib import Path
from typing import Final

from ffrtmp.domain.media import Audio, Container, FrameSize
from ffrtmp.domain.parameters import DEFAULT_TEST_SECONDS, TEST_FPS
from ffrtmp.schemas import JobSpec
from workers.ffmpeg.target import CPU, Target, device_options, pixel_filters
from workers.ffmpeg.video_encoders import has_encoder, video_encoder

TEST_TITLE: Final = "ffrtmp test source"

_FORMATS: Final = {Container.MP4: "mp4", Container.MKV: "matroska", Container.WEBM: "webm"}
_NETWORK_TIMEOUT_MICROSECONDS: Final = 15_000_000
_FILE_PROTOCOLS: Final = "file"
_REMOTE_PROTOCOLS: Final = "http,https,tcp,tls,crypto"
# up to 5.1: layouts that the encoder takes; 5.1(side), as AC-3 decodes to, becomes 5.1
_LAYOUTS: Final = {
    Audio.AAC: "mono|stereo|3.0|4.0|5.0|5.1",
    Audio.OPUS: "mono|stereo|3.0|quad|5.0|5.1",
}
_AUDIO_ENCODERS: Final = {Audio.AAC: "aac", Audio.OPUS: "libopus"}


class UnsupportedSpec(Exception):  # noqa: N818
    """No command line of this module does what the spec asks."""


def transcode(
    spec: JobSpec,
    *,
    ffmpeg: Path,
    source: str | None,
    has_audio: bool,
    destination: Path,
    threads: int | None,
    target: Target = CPU,
) -> tuple[str, ...]:
    """The argv that makes ``destination`` what the spec says.

    ``source`` is an absolute path or an http(s) URL, None for the synthetic test source;
    ``has_audio`` says whether it has sound. ``destination`` is the attempt's own temporary file:
    it is overwritten. ``target`` encodes, whatever hardware the spec names; the source is decoded
    and scaled on the CPU. Raises UnsupportedSpec for relative paths, and where the target's
    hardware has no encoder for the codec.
    """
    if not destination.is_absolute():
        raise UnsupportedSpec(f"{destination} is not absolute")
    return (
        *_start(spec, ffmpeg, target, threads),
        *(_test_source(spec) if source is None else _source(source)),
        *_encoded(spec, source, has_audio=has_audio, target=target, threads=threads),
        *_container(spec.container),
        f"file:{destination}",
    )


def publish(
    spec: JobSpec,
    *,
    ffmpeg: Path,
    source: str | None,
    has_audio: bool,
    threads: int | None,
    target: Target = CPU,
) -> tuple[str, ...]:
    """The argv that publishes to ``spec.rtmp_url`` at native speed; the rest as ``transcode``."""
    if spec.rtmp_url is None:
        raise UnsupportedSpec("a stream needs an rtmp_url")
    return (
        *_start(spec, ffmpeg, target, threads),
        *(_test_source(spec, "-re") if source is None else ("-re", *_source(source))),
        *_encoded(spec, source, has_audio=has_audio, target=target, threads=threads),
        *("-map_chapters", "-1", "-flvflags", "no_duration_filesize"),
        *("-rw_timeout", str(_NETWORK_TIMEOUT_MICROSECONDS), "-f", "flv", spec.rtmp_url),
    )


def _start(spec: JobSpec, ffmpeg: Path, target: Target, threads: int | None) -> tuple[str, ...]:
    if not has_encoder(target, spec.codec):
        raise UnsupportedSpec(f"{target.hardware} has no encoder for {spec.codec}")
    return (
        str(ffmpeg),
        *("-hide_banner", "-nostdin", "-y", "-loglevel", "level+info"),
        *("-nostats", "-progress", "pipe:1", "-abort_on", "empty_output"),
        *device_options(target),
        *_threads(threads),
    )


def _encoded(
    spec: JobSpec, source: str | None, *, has_audio: bool, target: Target, threads: int | None
) -> tuple[str, ...]:
    return (
        *("-map", "0:v:0" if source is None else "0:V:0"),
        *("-vf", _video_filters(spec, target)),
        *video_encoder(spec, target=target, threads=threads),
        *_audio(spec, is_synthetic=source is None, has_audio=has_audio),
        *("-sn", "-dn", "-map_metadata", "0"),
        *(("-metadata", f"title={TEST_TITLE}") if source is None else ()),
        *_limit(spec, is_synthetic=source is None),
        *_threads(threads),
    )


def is_remote(source: str) -> bool:
    """True for an http(s) URL."""
    return source.lower().startswith(("http://", "https://"))


def _threads(threads: int | None) -> tuple[str, ...]:
    return () if threads is None else ("-threads", str(threads))


def _source(source: str) -> tuple[str, ...]:
    if not is_remote(source):
        if not source.startswith("/"):
            raise UnsupportedSpec(f"{source!r} is not absolute")
        return ("-protocol_whitelist", _FILE_PROTOCOLS, "-i", f"file:{source}")
    return (
        *("-protocol_whitelist", _REMOTE_PROTOCOLS),
        *("-rw_timeout", str(_NETWORK_TIMEOUT_MICROSECONDS)),
        *("-reconnect", "1", "-reconnect_streamed", "1", "-reconnect_delay_max", "5"),
        *("-i", source),
    )


def _test_source(spec: JobSpec, *options: str) -> tuple[str, ...]:
    rate = Fraction(spec.fps) if spec.fps else TEST_FPS
    picture = f"testsrc2=size={spec.width}x{spec.height}:rate={rate}"
    if spec.audio is Audio.NONE:
        return (*options, "-f", "lavfi", "-i", picture)
    tone = "sine=frequency=440:sample_rate=48000"
    return (*options, "-f", "lavfi", "-i", picture, *options, "-f", "lavfi", "-i", tone)


def _video_filters(spec: JobSpec, target: Target) -> str:
    rate = (f"fps={Fraction(spec.fps)}",) if spec.fps else ()
    size = FrameSize(width=spec.width, height=spec.height)
    return ",".join((*rate, _fitted(size), "setsar=1", *pixel_filters(target)))


def _fitted(size: FrameSize) -> str:
    """Filters that fit the picture as it is displayed into the frame, black around it.

    ``dar`` counts the source's pixel shape in; sides are even, as 4:2:0 needs.
    """
    w, h = size.width, size.height
    width = f"min({w},max(2,round({h}*dar/2)*2))"
    height = f"min({h},max(2,round({w}/dar/2)*2))"
    return f"scale=w='{width}':h='{height}',pad={w}:{h}:(ow-iw)/2:(oh-ih)/2"


def _audio(spec: JobSpec, *, is_synthetic: bool, has_audio: bool) -> tuple[str, ...]:
    if spec.audio is Audio.NONE or not (has_audio or is_synthetic):
        return ("-an",)
    mapped = ("-map", "1:a:0" if is_synthetic else "0:a?")
    if spec.audio is Audio.COPY and not is_synthetic:
        return (*mapped, "-c:a", "copy")
    codec = audio_codec(spec.audio, spec.container)
    # bit rates are the encoders' own: they follow the number of channels
    layouts = f"aformat=channel_layouts={_LAYOUTS[codec]}"
    return (*mapped, "-c:a", _AUDIO_ENCODERS[codec], "-af", layouts)


def audio_codec(audio: Audio, container: Container) -> Audio:
    """The codec of re-encoded sound; ``auto``, and ``copy`` of a test tone, suit the container."""
    if audio in (Audio.AAC, Audio.OPUS):
        return audio
    return Audio.OPUS if container is Container.WEBM else Audio.AAC


def _limit(spec: JobSpec, *, is_synthetic: bool) -> tuple[str, ...]:
    seconds = spec.duration_seconds
    if seconds is None and is_synthetic and not spec.is_stream:
        seconds = DEFAULT_TEST_SECONDS
    return () if seconds is None else ("-t", f"{seconds:.6f}".rstrip("0").rstrip("."))


def _container(container: Container) -> tuple[str, ...]:
    if container is not Container.MP4:
        return ("-map_chapters", "0", "-f", _FORMATS[container])
    # mp4 keeps chapters in a text track, which is a data stream to everyone else
    return ("-map_chapters", "-1", "-movflags", "+faststart", "-f", _FORMATS[container])
