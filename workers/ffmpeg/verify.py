"""Whether a finished file is what the plan says: everything that differs, in words."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from ffrtmp.domain.media import Audio, Container
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.frame_counts import MIN_TOLERANCE_SECONDS, expected_count, is_even
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.plan import Plan

_DEMUXERS: Final = {Container.MP4: "mp4", Container.MKV: "matroska", Container.WEBM: "webm"}
AUDIO_TOLERANCE_SECONDS: Final = 0.25
"""Encoders begin with silence and end in the middle of a block: up to 3 blocks of 64 ms."""
_MIN_FRAMES_FOR_RATE: Final = 10
_SHAPE_TOLERANCE: Final = Fraction(1, 100)
"""Matroska keeps the displayed size, in whole pixels, instead of the pixels' shape."""
_RATE_TOLERANCE: Final = Fraction(1, 4000)
"""A quarter of the distance between 29.97 and 30."""


UNSAID: Final = ("range", "tv", None)
"""Limited range is what a file means that says nothing."""


def differences(plan: Plan, picture: PicturePlan, output: MediaFacts) -> list[str]:
    """What is wrong with the file of one picture, one sentence each; empty where all is right.

    ``output`` is a probe with counted frames.
    """
    known = plan.source is None or plan.source.has_one_clock
    return [
        *_picture(plan, picture, output),
        *_light(plan, output),
        *_frame_rate(picture, output, may_lose_one=not known),
        *_frames(plan, picture, output),
        *_sound(plan, output),
        *_subtitles(plan, output),
        *(_length(plan, output) if known else ()),
        *(_sound_length(plan, output) if known else ()),
    ]


def _picture(plan: Plan, picture: PicturePlan, output: MediaFacts) -> Iterator[str]:
    video, frame = output.video, picture.frame
    demuxer = "hls" if plan.is_hls else _DEMUXERS[plan.container]
    if demuxer not in output.container.split(","):
        yield f"container is {output.container}, asked was {plan.container}"
    if video.codec != plan.codec:
        yield f"video codec is {video.codec}, asked was {plan.codec}"
    if (video.width, video.height) != (frame.width, frame.height):
        yield f"size is {video.width}x{video.height}, asked was {frame}"
    if video.rotation_degrees:
        yield f"picture is marked as turned by {video.rotation_degrees} degrees"
    shape = picture.sample_aspect
    if abs(video.sample_aspect - shape) > shape * _SHAPE_TOLERANCE:
        yield f"shape of the pixels is {video.sample_aspect}, expected was {shape}"


def _light(plan: Plan, output: MediaFacts) -> Iterator[str]:
    """Depth and colour; what the source does not say, the output may."""
    found, expected = output.video.colour, plan.colour
    if output.video.bit_depth != plan.bit_depth:
        yield f"video has {output.video.bit_depth} bits, expected were {plan.bit_depth}"
    for tag in ("primaries", "transfer", "matrix", "range"):
        is_there, wanted = getattr(found, tag), getattr(expected, tag)
        if wanted not in (None, is_there) and (tag, wanted, is_there) != UNSAID:
            yield f"colour {tag} is {is_there}, expected was {wanted}"
    if expected.is_hdr and expected.has_mastering_display and not found.has_mastering_display:
        yield "the mastering display of HDR10 is missing"
    if expected.is_hdr and expected.has_light_level and not found.has_light_level:
        yield "the content light level of HDR10 is missing"
    if plan.is_tone_mapped and (found.has_mastering_display or found.has_light_level):
        yield "HDR10 metadata is there, and the picture is not HDR any more"


def _subtitles(plan: Plan, output: MediaFacts) -> Iterator[str]:
    if len(output.subtitles) != len(plan.subtitles):
        yield f"subtitle tracks: {len(output.subtitles)}, expected were {len(plan.subtitles)}"
        return
    for number, (track, found) in enumerate(zip(plan.subtitles, output.subtitles, strict=True), 1):
        if track.codec != "copy" and found.codec != track.codec:
            yield f"subtitles {number} are {found.codec}, expected was {track.codec}"
        if track.language is not None and found.language != track.language:
            yield f"subtitles {number} are in {found.language}, expected was {track.language}"


def _frame_rate(picture: PicturePlan, output: MediaFacts, *, may_lose_one: bool) -> Iterator[str]:
    """Of a recording whose picture changes its size ffmpeg loses a frame at the change."""
    video, asked = output.video, picture.fps
    if asked is None or (video.frames or 0) < _MIN_FRAMES_FOR_RATE:
        return
    lost = asked / (video.frames or 1) if may_lose_one else 0
    if video.fps is None or abs(video.fps - asked) > asked * _RATE_TOLERANCE + lost:
        yield f"frame rate is {video.fps}, asked was {asked}"


def _frames(plan: Plan, picture: PicturePlan, output: MediaFacts) -> Iterator[str]:
    found, expected = output.video.frames, expected_count(plan, picture)
    if not found:
        yield "video has no frames"
    elif expected is not None and not expected.admits(found):
        yield f"video has {found} frames, expected were {expected.frames}"


def _sound(plan: Plan, output: MediaFacts) -> Iterator[str]:
    if len(output.audio) != len(plan.sounds):
        yield f"audio tracks: {len(output.audio)}, expected were {len(plan.sounds)}"
        return
    for sound, track in zip(plan.sounds, output.audio, strict=True):
        if sound.language is not None and track.language != sound.language:
            yield f"audio is in {track.language}, expected was {sound.language}"
        if sound.codec is Audio.COPY:
            continue
        if track.codec != sound.codec:
            yield f"audio codec is {track.codec}, expected was {sound.codec}"
        if track.channels != sound.channels:
            yield f"audio has {track.channels} channels, expected were {sound.channels}"
        if track.sample_rate != sound.sample_rate:
            yield f"audio has {track.sample_rate} Hz, expected were {sound.sample_rate}"


def _length(plan: Plan, output: MediaFacts) -> Iterator[str]:
    source = plan.source
    end = None if source is None else _video_end(source)
    expected, found = _expected(plan, end), _video_end(output)
    if expected is None or found is None:
        return
    frames = [1 / facts.video.fps for facts in (source, output) if facts and facts.video.fps]
    tolerance = max(MIN_TOLERANCE_SECONDS, *(float(frame) for frame in frames), 0.0) + 1e-3
    may_be_shorter = source is not None and _is_cut_unevenly(source, end, expected)
    if found > expected + tolerance or (found < expected - tolerance and not may_be_shorter):
        yield f"video ends after {found:.2f} s, expected was {expected:.2f} s"


def _is_cut_unevenly(source: MediaFacts, end: float | None, limit: float) -> bool:
    """True where the source may end before the limit, or have no frame near it."""
    return end is None or (limit < end and not is_even(source.video))


def _sound_length(plan: Plan, output: MediaFacts) -> Iterator[str]:
    for sound, track in zip(plan.sounds, output.audio, strict=False):
        end = None
        if plan.source is not None:
            end = plan.source.audio[sound.source_track].end_seconds
            if end is None:
                continue
        expected = _expected(plan, end)
        if expected is None or track.end_seconds is None:
            continue
        if abs(track.end_seconds - expected) > AUDIO_TOLERANCE_SECONDS:
            yield f"audio ends after {track.end_seconds:.2f} s, expected was {expected:.2f} s"


def _video_end(facts: MediaFacts) -> float | None:
    """When the video ends; without sound the file's own length is the video's."""
    if facts.video.end_seconds is not None or facts.audio:
        return facts.video.end_seconds
    return facts.duration_seconds


def _expected(plan: Plan, source_end: float | None) -> float | None:
    """Where a track should end: at the limit, or earlier if the source does."""
    ends = [end for end in (plan.limit_seconds, source_end) if end is not None]
    return min(ends, default=None)
