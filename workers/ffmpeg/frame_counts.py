"""How many frames an output should have, where its source lets one know that, purely."""

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from ffrtmp.domain.parameters import TEST_FPS
from workers.ffmpeg.facts import VideoFacts
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.plan import Plan

MIN_TOLERANCE_SECONDS: Final = 0.1
"""Ends are known no better."""
_MAY_SHOW_NOTHING: Final = frozenset(("vp8", "mpeg4", "msmpeg4v3"))
"""Codecs with packets that are no frame to be shown; AVI has such chunks of any codec."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameCount:
    """About so many frames; ``tolerance`` is how many more or fewer are right as well."""

    frames: int
    tolerance: int

    def admits(self, frames: int) -> bool:
        """Whether an output may have so many."""
        return abs(frames - self.frames) <= self.tolerance


def expected_count(plan: Plan, picture: PicturePlan) -> FrameCount | None:
    """What the output should have; None where nobody can say."""
    if plan.source is None:
        seconds = plan.limit_seconds
        return None if seconds is None else _over(seconds, picture.fps or TEST_FPS)
    video = plan.source.video
    seconds = _seconds(plan, video)
    if not plan.source.has_one_clock or seconds is None or not video.fps:
        return None
    if picture.fps is None and plan.source.container == "avi":
        return None
    if picture.fps is not None:
        slack = max(MIN_TOLERANCE_SECONDS, float(1 / video.fps))
        return _over(seconds, picture.fps, slack_seconds=slack)
    return _kept(plan, video, seconds)


def is_even(video: VideoFacts) -> bool:
    """True unless its frames are known to lie unevenly: fewer than its rate makes, or said so."""
    found, room = _believable(video), _room(video)
    if video.is_variable_rate or found is None or room is None:
        return not video.is_variable_rate
    return abs(found - room) <= 1


def _kept(plan: Plan, video: VideoFacts, seconds: float) -> FrameCount | None:
    """With the source's own timing: each of its frames once."""
    found, end = _believable(video), video.end_seconds
    if found is None or video.fps is None or end is None:
        return None
    if plan.limit_seconds is None or plan.limit_seconds >= end:
        return FrameCount(frames=found, tolerance=1)
    return _over(seconds, video.fps) if is_even(video) else None


def _believable(video: VideoFacts) -> int | None:
    """The source's count, unless that is more than fit into its time.

    A header also counts what an edit list leaves out; a packet may be a field, or never shown.
    """
    if video.is_interlaced or video.codec in _MAY_SHOW_NOTHING:
        return None
    room = _room(video)
    return video.frames if video.frames and room is not None and video.frames <= room + 1 else None


def _room(video: VideoFacts) -> float | None:
    """How many frames of its rate fit into its time."""
    if video.fps is None or video.end_seconds is None:
        return None
    return (video.end_seconds - video.start_seconds) * float(video.fps)


def _seconds(plan: Plan, video: VideoFacts) -> float | None:
    """How long the output's video plays."""
    if video.end_seconds is None:
        return None
    end = min(video.end_seconds, plan.limit_seconds or math.inf)
    return max(0.0, end - video.start_seconds)


def _over(seconds: float, fps: Fraction, *, slack_seconds: float = 0.0) -> FrameCount:
    return FrameCount(frames=round(seconds * fps), tolerance=1 + math.ceil(slack_seconds * fps))
