"""Whether a finished file is what the job asked for: everything that differs, in words."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Final

from ffrtmp.domain.media import Audio, Container
from ffrtmp.schemas import JobSpec
from workers.ffmpeg.command import audio_codec
from workers.ffmpeg.facts import MediaFacts

_DEMUXERS: Final = {Container.MP4: "mp4", Container.MKV: "matroska", Container.WEBM: "webm"}
MIN_TOLERANCE_SECONDS: Final = 0.1
AUDIO_TOLERANCE_SECONDS: Final = 0.25
"""Encoders begin with silence and end in the middle of a block: up to 3 blocks of 64 ms."""
_MIN_FRAMES_FOR_RATE: Final = 10
_RATE_TOLERANCE: Final = Fraction(1, 4000)
"""A quarter of the distance between 29.97 and 30."""


def differences(spec: JobSpec, source: MediaFacts | None, output: MediaFacts) -> list[str]:
    """What is wrong with the output, one sentence each; empty where all is right.

    ``source`` is None for the synthetic test source. ``output`` is a probe with counted frames.
    """
    known = source is None or source.has_one_clock
    return [
        *_picture(spec, output),
        *_frame_rate(spec, output),
        *_sound(spec, source, output),
        *(_length(spec, source, output) if known else ()),
        *(_sound_length(spec, source, output) if known else ()),
    ]


def _picture(spec: JobSpec, output: MediaFacts) -> Iterator[str]:
    video = output.video
    if _DEMUXERS[spec.container] not in output.container.split(","):
        yield f"container is {output.container}, asked was {spec.container}"
    if video.codec != spec.codec:
        yield f"video codec is {video.codec}, asked was {spec.codec}"
    if (video.width, video.height) != (spec.width, spec.height):
        yield f"size is {video.width}x{video.height}, asked was {spec.width}x{spec.height}"
    if video.rotation_degrees:
        yield f"picture is marked as turned by {video.rotation_degrees} degrees"
    if not video.frames:
        yield "video has no frames"


def _frame_rate(spec: JobSpec, output: MediaFacts) -> Iterator[str]:
    video = output.video
    if spec.fps is None or (video.frames or 0) < _MIN_FRAMES_FOR_RATE:
        return
    asked = Fraction(spec.fps)
    if video.fps is None or abs(video.fps - asked) > asked * _RATE_TOLERANCE:
        yield f"frame rate is {video.fps}, asked was {asked}"


def _sound(spec: JobSpec, source: MediaFacts | None, output: MediaFacts) -> Iterator[str]:
    wanted = 1 if source is None else len(source.audio)
    if spec.audio is Audio.NONE:
        wanted = 0
    if len(output.audio) != wanted:
        yield f"audio tracks: {len(output.audio)}, expected were {wanted}"
    if spec.audio is Audio.COPY and source is not None:
        return
    codec = audio_codec(spec.audio, spec.container)
    for track in output.audio:
        if track.codec != codec:
            yield f"audio codec is {track.codec}, expected was {codec}"


def _length(spec: JobSpec, source: MediaFacts | None, output: MediaFacts) -> Iterator[str]:
    expected = _expected(spec, None if source is None else _video_end(source))
    if source is None and expected is None:
        return
    found = _video_end(output)
    if expected is None or found is None:
        return
    frames = [1 / facts.video.fps for facts in (source, output) if facts and facts.video.fps]
    tolerance = max(MIN_TOLERANCE_SECONDS, *(float(frame) for frame in frames), 0.0)
    if abs(found - expected) > tolerance + 1e-3:
        yield f"video ends after {found:.2f} s, expected was {expected:.2f} s"


def _sound_length(spec: JobSpec, source: MediaFacts | None, output: MediaFacts) -> Iterator[str]:
    for number, track in enumerate(output.audio):
        known = source is not None and number < len(source.audio)
        end = source.audio[number].end_seconds if source is not None and known else None
        expected = _expected(spec, end) if source is None or end is not None else None
        if expected is None or track.end_seconds is None:
            continue
        if abs(track.end_seconds - expected) > AUDIO_TOLERANCE_SECONDS:
            yield f"audio ends after {track.end_seconds:.2f} s, expected was {expected:.2f} s"


def _video_end(facts: MediaFacts) -> float | None:
    """When the video ends; without sound the file's own length is the video's."""
    if facts.video.end_seconds is not None or facts.audio:
        return facts.video.end_seconds
    return facts.duration_seconds


def _expected(spec: JobSpec, source_end: float | None) -> float | None:
    """Where a track should end: at the limit, or earlier if the source does."""
    ends = [end for end in (spec.duration_seconds, source_end) if end is not None]
    return min(ends, default=None)
