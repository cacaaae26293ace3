"""From a plan and an encoder's target to ffmpeg's argument lists, purely.

The flags of each encoder are in ``video_encoders``, those that choose a device in ``target``.
"""

from pathlib import Path
from typing import Final

from ffrtmp.domain.media import Audio, Container
from ffrtmp.domain.parameters import TEST_FPS
from workers.errors import UnsupportedSpec
from workers.ffmpeg.inputs import access
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.sounds import TEST_RATE, SoundPlan
from workers.ffmpeg.target import CPU, Target, device_options, pixel_filters
from workers.ffmpeg.video_encoders import has_encoder, video_encoder

TEST_TITLE: Final = "ffrtmp test source"

MAX_RATIO: Final = 65_535
_FORMATS: Final = {Container.MP4: "mp4", Container.MKV: "matroska", Container.WEBM: "webm"}
_AUDIO_ENCODERS: Final = {Audio.AAC: "aac", Audio.OPUS: "libopus"}


def transcode(
    plan: Plan,
    *,
    ffmpeg: Path,
    source: str | None,
    destination: Path,
    threads: int | None,
    target: Target = CPU,
) -> tuple[str, ...]:
    """The argv that makes ``destination`` what the plan says.

    ``source`` is an absolute path or an http(s) URL, None for the synthetic test source.
    ``destination`` is the attempt's own temporary file, which is overwritten. ``target``
    encodes. Raises UnsupportedSpec for relative paths, for plans of several files or passes, and
    where the target's hardware has no encoder for the codec.
    """
    if not destination.is_absolute():
        raise UnsupportedSpec(f"{destination} is not absolute")
    if plan.makes_folder or plan.is_two_pass:
        raise UnsupportedSpec("several files, or two passes")
    (picture,) = plan.pictures
    return (
        *opening(plan, ffmpeg, target, threads),
        *(test_source(plan, picture) if source is None else read(source)),
        *encoded(plan, picture, target=target, threads=threads),
        *_container(plan.container),
        f"file:{destination}",
    )


def opening(plan: Plan, ffmpeg: Path, target: Target, threads: int | None) -> tuple[str, ...]:
    """What every argv begins with; UnsupportedSpec where the target cannot encode the codec."""
    if not has_encoder(target, plan.codec):
        raise UnsupportedSpec(f"{target.hardware} has no encoder for {plan.codec}")
    return (
        str(ffmpeg),
        *("-hide_banner", "-nostdin", "-y", "-loglevel", "level+info"),
        *("-nostats", "-progress", "pipe:1", "-abort_on", "empty_output"),
        *device_options(target),
        *_threads(threads),
    )


def encoded(
    plan: Plan, picture: PicturePlan, *, target: Target, threads: int | None
) -> tuple[str, ...]:
    """One picture with the plan's sound, encoded: all of an output but where it goes."""
    return (
        *("-map", "0:v:0" if plan.is_synthetic else "0:V:0"),
        *("-vf", _video_filters(picture, target)),
        *video_encoder(plan, picture, target=target, threads=threads),
        *_audio(plan),
        *("-sn", "-dn", "-map_metadata", "0"),
        *(("-metadata", f"title={TEST_TITLE}") if plan.is_synthetic else ()),
        *_limit(plan.limit_seconds),
        *_threads(threads),
    )


def _threads(threads: int | None) -> tuple[str, ...]:
    return () if threads is None else ("-threads", str(threads))


def read(source: str) -> tuple[str, ...]:
    """The input that is an absolute path or a URL; UnsupportedSpec for anything else."""
    try:
        return access(source).arguments()
    except ValueError as error:
        raise UnsupportedSpec(str(error)) from error


def test_source(plan: Plan, picture: PicturePlan, *options: str) -> tuple[str, ...]:
    """The inputs of the synthetic source, each with ``options``."""
    rate = picture.fps or TEST_FPS
    shown = f"testsrc2=size={picture.frame}:rate={rate}"
    if not plan.sounds:
        return (*options, "-f", "lavfi", "-i", shown)
    tone = f"sine=frequency=440:sample_rate={TEST_RATE}"
    return (*options, "-f", "lavfi", "-i", shown, *options, "-f", "lavfi", "-i", tone)


def _video_filters(picture: PicturePlan, target: Target) -> str:
    rate = (f"fps={picture.fps}",) if picture.fps else ()
    return ",".join((*rate, *_fitted(picture), *pixel_filters(target)))


def _fitted(picture: PicturePlan) -> tuple[str, ...]:
    inner, frame = picture.inner, picture.frame
    bars = (f"pad={frame.width}:{frame.height}:(ow-iw)/2:(oh-ih)/2",) if picture.is_padded else ()
    # with its own bound of 100 ffmpeg rounds ratios of larger numbers
    bound = "" if picture.sample_aspect == 1 else f":max={MAX_RATIO}"
    shape = f"setsar={picture.sample_aspect}{bound}"
    return (f"scale={inner.width}:{inner.height}", *bars, shape)


def _audio(plan: Plan) -> tuple[str, ...]:
    if not plan.sounds:
        return ("-an",)
    given = 1 if plan.is_synthetic else 0
    return tuple(
        option
        for number, sound in enumerate(plan.sounds)
        for option in _track(number, sound, f"{given}:a:{sound.source_track}")
    )


def _track(number: int, sound: SoundPlan, place: str) -> tuple[str, ...]:
    if sound.codec is Audio.COPY:
        return ("-map", place, f"-c:a:{number}", "copy")
    bits = sound.bits_per_second
    return (
        *("-map", place, f"-c:a:{number}", _AUDIO_ENCODERS[sound.codec]),
        *(f"-ac:a:{number}", str(sound.channels), f"-ar:a:{number}", str(sound.sample_rate)),
        *(() if bits is None else (f"-b:a:{number}", str(bits))),
    )


def _limit(seconds: float | None) -> tuple[str, ...]:
    return () if seconds is None else ("-t", f"{seconds:.6f}".rstrip("0").rstrip("."))


def _container(container: Container) -> tuple[str, ...]:
    if container is not Container.MP4:
        return ("-map_chapters", "0", "-f", _FORMATS[container])
    # mp4 keeps chapters in a text track, which is a data stream to everyone else
    return ("-map_chapters", "-1", "-movflags", "+faststart", "-f", _FORMATS[container])
