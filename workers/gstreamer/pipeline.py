"""From a plan to what GStreamer is ordered to do, purely.

The description is made of our own words and numbers. Paths and URLs stand beside it in the order,
where nothing parses them.
"""

import json
import math
from typing import Any, Final

from ffrtmp.domain.parameters import TEST_FPS
from workers.errors import UnsupportedSpec
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.plan import GOP_SECONDS, Plan
from workers.ffmpeg.sounds import SoundPlan
from workers.gstreamer.found import PLAYER, Gstreamer

DEMUXERS: Final = {
    "mov": "qtdemux",
    "matroska": "matroskademux",
    "flv": "flvdemux",
    "mpegts": "tsdemux",
    "avi": "avidemux",
}
"""By the first of libavformat's names, as the probe gives it. What GStreamer would choose by
itself also reads playlists."""
_BUFFER_MILLISECONDS: Final = 2000
_UNCAPPED: Final = 0
_UNKNOWN_RATE_FRAMES: Final = 60
_SAMPLES_PER_BUFFER: Final = 1024
# what was before the first frame is no gap to be filled
_KEEPING_RATE: Final = " ! videorate skip-to-first=true"
_STEREO_BITS: Final = 128_000


def publish(
    plan: Plan,
    gstreamer: Gstreamer,
    *,
    source: str | None,
    rtmp_url: str,
    threads: int,
    from_seconds: float = 0.0,
) -> tuple[str, ...]:
    """The argv that publishes to ``rtmp_url`` at native speed.

    ``source`` is the absolute path of a file, None the test source. UnsupportedSpec for what
    these pipelines do not do.
    """
    (picture,) = plan.pictures
    if plan.is_tone_mapped:
        raise UnsupportedSpec("the engine gstreamer does not map HDR to SDR; use ffmpeg")
    order: dict[str, Any] = {
        "pipeline": " ".join((_MUXER, *_branches(plan, picture, gstreamer, threads))),
        "url": rtmp_url,
    }
    if source is not None:
        order |= _file(plan, source, from_seconds)
    return argv(gstreamer, order)


def argv(gstreamer: Gstreamer, order: dict[str, Any]) -> tuple[str, ...]:
    """What runs an order; see ``player``."""
    return (str(gstreamer.python), "-I", str(PLAYER), json.dumps(order))


_MUXER: Final = "flvmux name=mux streamable=true ! rtmp2sink name=sink sync=true"


def _file(plan: Plan, source: str, from_seconds: float) -> dict[str, Any]:
    container = plan.source.container.partition(",")[0] if plan.source else ""
    if container not in DEMUXERS:
        raise UnsupportedSpec(f"the engine gstreamer does not read {container}; use ffmpeg")
    limit = plan.limit_seconds
    return {
        "location": source,
        "demuxer": DEMUXERS[container],
        "audio_track": plan.sounds[0].source_track if plan.sounds else None,
        "from_seconds": from_seconds,
        "until_seconds": None if limit is None else from_seconds + limit,
    }


def _branches(
    plan: Plan, picture: PicturePlan, gstreamer: Gstreamer, threads: int
) -> tuple[str, ...]:
    seconds = plan.limit_seconds
    pictures = (
        _test_pictures(picture, seconds)
        if plan.is_synthetic
        else "queue name=video ! decodebin ! videoconvert ! videoflip video-direction=auto"
    )
    tones = [
        (_test_tone(sound, seconds) if plan.is_synthetic else "queue name=audio ! decodebin")
        + _sound(sound, gstreamer)
        for sound in plan.sounds
    ]
    return (pictures + _picture(plan, picture, threads), *tones)


def _test_pictures(picture: PicturePlan, seconds: float | None) -> str:
    rate = picture.fps or TEST_FPS
    count = "" if seconds is None else f" num-buffers={round(seconds * rate)}"
    return f"videotestsrc is-live=true{count} ! video/x-raw,framerate={_fraction(rate)}"


def _test_tone(sound: SoundPlan, seconds: float | None) -> str:
    count = ""
    if seconds is not None:
        buffers = math.ceil(seconds * sound.sample_rate / _SAMPLES_PER_BUFFER)
        count = f" num-buffers={buffers}"
    samples = f"samplesperbuffer={_SAMPLES_PER_BUFFER}"
    made = f"audio/x-raw,rate={sound.sample_rate}"
    return f"audiotestsrc is-live=true freq=440 volume=0.1 {samples}{count} ! {made}"


def _picture(plan: Plan, picture: PicturePlan, threads: int) -> str:
    rate = picture.fps
    shape = f"width={picture.frame.width},height={picture.frame.height}"
    timing = "" if rate is None else f",framerate={_fraction(rate)}"
    known = rate or (plan.source.video.fps if plan.source else TEST_FPS)
    gop = round(known * GOP_SECONDS) if known else _UNKNOWN_RATE_FRAMES
    return (
        f"{'' if rate is None or plan.is_synthetic else _KEEPING_RATE}"
        " ! videoconvert ! videoscale add-borders=true"
        f" ! video/x-raw,format=I420,{shape},pixel-aspect-ratio={_aspect(picture)}{timing}"
        f" ! x264enc name=frames speed-preset={plan.preset} tune=zerolatency threads={threads}"
        f" key-int-max={gop} option-string=scenecut=0:open-gop=0 {_rate(picture)}"
        " ! h264parse ! queue ! mux."
    )


def _rate(picture: PicturePlan) -> str:
    """In ``qual`` x264enc takes its bit rate for a ceiling, and none for a buffer without size."""
    bits, ceiling = picture.bits_per_second, picture.max_bits_per_second
    if bits is not None:
        return f"pass=cbr bitrate={_kilo(bits)} vbv-buf-capacity={_BUFFER_MILLISECONDS}"
    quality = f"pass=qual quantizer={picture.crf}"
    if ceiling is None:
        return f"{quality} vbv-buf-capacity={_UNCAPPED}"
    return f"{quality} bitrate={_kilo(ceiling)} vbv-buf-capacity={_BUFFER_MILLISECONDS}"


def _sound(sound: SoundPlan, gstreamer: Gstreamer) -> str:
    usual = _STEREO_BITS * sound.channels // 2
    bits = sound.bits_per_second or usual
    return (
        " ! audioconvert ! audioresample"
        f" ! audio/x-raw,rate={sound.sample_rate},channels={sound.channels}"
        f" ! {gstreamer.aac} bitrate={bits} ! aacparse ! queue ! mux."
    )


def _aspect(picture: PicturePlan) -> str:
    return _fraction(picture.sample_aspect)


def _fraction(value: Any) -> str:
    return f"{value.numerator}/{value.denominator}"


def _kilo(bits: int) -> int:
    return max(1, bits // 1000)
