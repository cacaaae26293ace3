"""The filters between the decoded source and the encoder of one picture, purely."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from workers.ffmpeg.facts import UNTAGGED
from workers.ffmpeg.gpu_filters import arrival, scaled, stays_on_gpu
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.plan import BT709, Plan
from workers.ffmpeg.target import Target, pixel_filters

MAX_RATIO: Final = 65_535
SDR_WHITE_NITS: Final = 100
"""Reference white of BT.1886 and BT.2035."""
_DEINTERLACED: Final = "bwdif=mode=send_frame:deint=interlaced"
_HDR_METADATA: Final = ("MASTERING_DISPLAY_METADATA", "CONTENT_LIGHT_LEVEL")


def picture_filters(plan: Plan, picture: PicturePlan, target: Target) -> str:
    """The filter chain of one picture, as ``-vf`` has it."""
    if stays_on_gpu(plan, target):
        return ",".join(_on_gpu(plan, picture, target))
    return ",".join(
        (
            *timing_filters(plan, picture),
            _scaled(plan, picture),
            *(_tone_mapped(plan) if plan.is_tone_mapped else ()),
            *_bars(picture),
            _shape(picture),
            *pixel_filters(target, is_ten_bit=plan.bit_depth == 10),
        )
    )


def _on_gpu(plan: Plan, picture: PicturePlan, target: Target) -> Iterator[str]:
    yield from timing_filters(plan, picture)
    yield from arrival(target, bit_depth=plan.bit_depth)
    yield scaled(target, picture.frame, bit_depth=plan.bit_depth)
    yield _shape(picture)


def timing_filters(plan: Plan, picture: PicturePlan) -> Iterator[str]:
    """What makes the frames of the output, and their times, out of the source's."""
    if plan.source is not None and plan.source.video.is_interlaced:
        yield _DEINTERLACED
    if picture.fps:
        yield f"fps={picture.fps}{_at_the_end(plan, picture.fps)}"


def _at_the_end(plan: Plan, fps: Fraction) -> str:
    """What is shorter than half a frame would be rounded to none."""
    video = None if plan.source is None else plan.source.video
    if video is None or video.end_seconds is None:
        return ""
    return ":eof_action=pass" if (video.end_seconds - video.start_seconds) * fps < 1 else ""


def _scaled(plan: Plan, picture: PicturePlan) -> str:
    size = f"scale={picture.inner.width}:{picture.inner.height}"
    colour = UNTAGGED if plan.source is None else plan.source.video.colour
    if colour.is_rgb:  # ffmpeg's own choice would be BT.601 without a tag, whatever the size
        return f"{size}:out_color_matrix={BT709.matrix}:out_range={BT709.range}"
    return f"{size}:out_range=pc" if colour.range == "pc" else size


def _tone_mapped(plan: Plan) -> Iterator[str]:
    """PQ or HLG made linear light, its highlights compressed, and back as BT.709."""
    colour = UNTAGGED if plan.source is None else plan.source.video.colour
    tags = {
        "color_primaries": colour.primaries or "bt2020",
        "color_trc": colour.transfer,
        "colorspace": colour.matrix or "bt2020nc",
        "range": colour.range or "tv",
    }
    yield "setparams=" + ":".join(f"{name}={value}" for name, value in tags.items())
    yield f"zscale=t=linear:npl={SDR_WHITE_NITS}"
    yield "format=gbrpf32le"
    yield "zscale=p=bt709"
    yield "tonemap=hable:desat=0"
    yield "zscale=t=bt709:m=bt709:r=tv"
    yield from (f"sidedata=mode=delete:type={kind}" for kind in _HDR_METADATA)


def _bars(picture: PicturePlan) -> Iterator[str]:
    if picture.is_padded:
        yield f"pad={picture.frame.width}:{picture.frame.height}:(ow-iw)/2:(oh-ih)/2"


def _shape(picture: PicturePlan) -> str:
    # with its own bound of 100 ffmpeg rounds ratios of larger numbers
    bound = "" if picture.sample_aspect == 1 else f":max={MAX_RATIO}"
    return f"setsar={picture.sample_aspect}{bound}"
