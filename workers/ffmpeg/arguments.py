"""The pieces that ffmpeg's argument lists are put together from, purely.

The filters are in ``filters``, the flags of each encoder in ``video_encoders``, those that choose
a device in ``target``, all of pictures that stay on a GPU in ``gpu_filters``, sound and subtitles
in ``mapping``.
"""

from pathlib import Path
from typing import Final

from ffrtmp.domain.media import Container
from ffrtmp.domain.parameters import TEST_FPS
from workers.errors import UnsupportedSpec
from workers.ffmpeg.filters import picture_filters
from workers.ffmpeg.gpu_filters import gpu_options
from workers.ffmpeg.inputs import access
from workers.ffmpeg.mapping import sound_options, subtitle_options
from workers.ffmpeg.passes import FIRST, Pass
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.sounds import TEST_RATE
from workers.ffmpeg.target import Target, device_options
from workers.ffmpeg.video_encoders import has_encoder, video_encoder

TEST_TITLE: Final = "ffrtmp test source"
_FORMATS: Final = {Container.MP4: "mp4", Container.MKV: "matroska", Container.WEBM: "webm"}


def opening(
    plan: Plan, ffmpeg: Path, target: Target, threads: int | None, turn: Pass | None = None
) -> tuple[str, ...]:
    """What every argv begins with, to some options of its first input; UnsupportedSpec where the
    target cannot encode the codec."""
    if not has_encoder(target, plan.codec):
        raise UnsupportedSpec(f"{target.hardware} has no encoder for {plan.codec}")
    return (
        str(ffmpeg),
        *("-hide_banner", "-nostdin", "-y", "-loglevel", "level+info"),
        *("-nostats", "-progress", "pipe:1"),
        *(("-abort_on", "empty_output") if turn is None or turn.number != FIRST else ()),
        *device_options(target),
        *gpu_options(plan, target),
        *share(threads),
    )


def encoded(
    plan: Plan,
    picture: PicturePlan,
    *,
    target: Target,
    threads: int | None,
    turn: Pass | None = None,
) -> tuple[str, ...]:
    """One picture with the plan's sound, encoded: all of an output but where it goes."""
    return (
        *("-map", main_video(plan)),
        *("-vf", picture_filters(plan, picture, target)),
        *video_encoder(plan, picture, target=target, threads=threads, turn=turn),
        *sound_options(plan),
        *subtitle_options(plan),
        *of_everything(plan),
        *share(threads),
    )


def main_video(plan: Plan) -> str:
    """The stream specifier of the source's picture."""
    return "0:v:0" if plan.is_synthetic else "0:V:0"


def of_everything(plan: Plan) -> tuple[str, ...]:
    """What an output has beside its tracks: their length, and what is said of them."""
    return (
        *("-dn", "-map_metadata", "0"),
        *(("-metadata", f"title={TEST_TITLE}") if plan.is_synthetic else ()),
        *limit(plan.limit_seconds),
    )


def timing(plan: Plan, picture: PicturePlan, stream: str = "v") -> tuple[str, ...]:
    """Frames keep their times: those of an uneven source in its own clock, which is finer."""
    is_uneven = plan.source is not None and plan.source.video.is_variable_rate
    clock = (f"-enc_time_base:{stream}", "demux") if is_uneven and picture.fps is None else ()
    return (f"-fps_mode:{stream}", "vfr", *clock)


def share(threads: int | None) -> tuple[str, ...]:
    """How many threads a decoder, or an encoder, may have."""
    return () if threads is None else ("-threads", str(threads))


def read(source: str, *, address: str | None = None) -> tuple[str, ...]:
    """The input that is an absolute path or a URL; UnsupportedSpec for anything else.

    ``address`` as in ``inputs.access``.
    """
    try:
        return access(source, address=address).arguments()
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


def limit(seconds: float | None) -> tuple[str, ...]:
    """Where an output ends at the latest."""
    return () if seconds is None else ("-t", f"{seconds:.6f}".rstrip("0").rstrip("."))


def file_format(container: Container) -> tuple[str, ...]:
    """The muxer of a file, and what it is told."""
    if container is not Container.MP4:
        return ("-map_chapters", "0", "-f", _FORMATS[container])
    # mp4 keeps chapters in a text track, which is a data stream to everyone else
    return ("-map_chapters", "-1", "-movflags", "+faststart", "-f", _FORMATS[container])


def nowhere() -> tuple[str, ...]:
    """The output of a run that writes none; subtitles cannot go there."""
    return ("-sn", "-f", "null", "-")
