"""The size and rate of each picture that a job makes of its source, purely."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ffrtmp.domain.media import Fit, FrameSize
from ffrtmp.domain.spec import JobSpec, Rendition
from workers.ffmpeg.facts import MediaFacts, VideoFacts

MIN_SIDE: Final = 2
_SAME: Final = Fraction(101, 100)
"""A rendition that is larger by no more than rounding is not above its source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PicturePlan:
    """One encoded picture.

    ``frame`` is its size in pixels, ``inner`` that of the source's picture within it: what is
    left is black. ``sample_aspect`` is the shape of its pixels. ``fps`` None keeps the source's
    timing.
    """

    name: str
    frame: FrameSize
    inner: FrameSize
    sample_aspect: Fraction = Fraction(1)
    fps: Fraction | None = None
    crf: int | None = None
    bits_per_second: int | None = None
    max_bits_per_second: int | None = None

    @property
    def pixels(self) -> int:
        """How many a frame has."""
        return self.frame.width * self.frame.height

    @property
    def is_padded(self) -> bool:
        """True where there are bars."""
        return self.frame != self.inner


def plan_pictures(
    spec: JobSpec, source: MediaFacts | None
) -> tuple[tuple[PicturePlan, ...], tuple[str, ...]]:
    """The pictures, and in words which renditions are left out for being above the source.

    Of a ladder that is above its source altogether the smallest rendition remains, in the
    source's size.
    """
    if source is None or not spec.makes_folder or spec.may_upscale:
        return tuple(_picture(spec, rendition, source) for rendition in spec.renditions), ()
    kept = [r for r in spec.renditions if not _is_above(r, source.video)]
    if not kept:
        kept = [min(spec.renditions, key=_height)]
    left_out = tuple(
        f"rendition {rendition.name} is above the source's size"
        for rendition in spec.renditions
        if rendition not in kept
    )
    return tuple(_picture(spec, rendition, source) for rendition in kept), left_out


def displayed(video: VideoFacts) -> tuple[Fraction, Fraction]:
    """Width and height of the picture as it is shown, in square pixels."""
    width = video.width * video.sample_aspect
    height = Fraction(video.height)
    return (height, width) if is_on_its_side(video) else (width, height)


def is_on_its_side(video: VideoFacts) -> bool:
    """True where a player turns the picture by a quarter."""
    return video.rotation_degrees % 180 == 90


def _picture(spec: JobSpec, rendition: Rendition, source: MediaFacts | None) -> PicturePlan:
    frame, inner, aspect = _sizes(spec, rendition, source)
    return PicturePlan(
        name=rendition.name,
        frame=frame,
        inner=inner,
        sample_aspect=aspect,
        fps=rendition.fps,
        crf=rendition.crf,
        bits_per_second=rendition.bits_per_second,
        max_bits_per_second=rendition.max_bits_per_second,
    )


def _sizes(
    spec: JobSpec, rendition: Rendition, source: MediaFacts | None
) -> tuple[FrameSize, FrameSize, Fraction]:
    if source is None:
        if rendition.size is None:
            raise ValueError("a test source has no size of its own")
        return rendition.size, rendition.size, Fraction(1)
    video = source.video
    if rendition.size is None:
        return own_size(video)
    box = _box(spec, rendition.size, video)
    inner = _fitted(box, video, may_upscale=spec.may_upscale)
    frame = rendition.size if spec.fit is Fit.PAD else inner
    return frame, inner, Fraction(1)


def own_size(video: VideoFacts) -> tuple[FrameSize, FrameSize, Fraction]:
    """The source's pixels, an odd row or column less, in the shape that they have."""
    sides = (_even(video.width), _even(video.height))
    aspect = video.sample_aspect
    if is_on_its_side(video):
        sides, aspect = (sides[1], sides[0]), 1 / aspect
    size = FrameSize(width=sides[0], height=sides[1])
    return size, size, aspect


def _box(spec: JobSpec, size: FrameSize, video: VideoFacts) -> FrameSize:
    """A ladder's sizes are said for wide pictures; a tall one gets them turned."""
    width, height = displayed(video)
    if spec.fit is Fit.INSIDE and spec.makes_folder and height > width and size.width > size.height:
        return FrameSize(width=size.height, height=size.width)
    return size


def _fitted(box: FrameSize, video: VideoFacts, *, may_upscale: bool) -> FrameSize:
    width, height = displayed(video)
    scale = min(box.width / width, box.height / height)
    if not may_upscale:
        scale = min(scale, Fraction(1))
    return FrameSize(
        width=min(box.width, _nearest_even(width * scale)),
        height=min(box.height, _nearest_even(height * scale)),
    )


def _is_above(rendition: Rendition, video: VideoFacts) -> bool:
    if rendition.size is None:
        return False
    width, height = displayed(video)
    longer, shorter = max(width, height), min(width, height)
    box = rendition.size
    scale = min(max(box.width, box.height) / longer, min(box.width, box.height) / shorter)
    return scale > _SAME


def _height(rendition: Rendition) -> int:
    return rendition.size.height if rendition.size is not None else 0


def _even(side: int) -> int:
    return max(MIN_SIDE, side - side % 2)


def _nearest_even(side: Fraction) -> int:
    return max(MIN_SIDE, round(side / 2) * 2)
