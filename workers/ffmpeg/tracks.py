"""What PyAV says of the tracks of an open file, as JSON: the material of the probe's answer."""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final, cast

import av
import av.container
import av.error
import av.stream
from av.format import Flags

# ITU-T H.273's numbers under ffmpeg's names (libavutil/pixdesc.c); 2 is "unspecified"
_PRIMARIES: Final = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "film",
    9: "bt2020",
    10: "smpte428",
    11: "smpte431",
    12: "smpte432",
    22: "ebu3213",
}
_TRANSFERS: Final = {
    1: "bt709",
    4: "bt470m",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "linear",
    9: "log100",
    10: "log316",
    11: "iec61966-2-4",
    12: "bt1361e",
    13: "iec61966-2-1",
    14: "bt2020-10",
    15: "bt2020-12",
    16: "smpte2084",
    17: "smpte428",
    18: "arib-std-b67",
}
_MATRICES: Final = {
    0: "gbr",
    1: "bt709",
    4: "fcc",
    5: "bt470bg",
    6: "smpte170m",
    7: "smpte240m",
    8: "ycgco",
    9: "bt2020nc",
    10: "bt2020c",
    11: "smpte2085",
    12: "chroma-derived-nc",
    13: "chroma-derived-c",
    14: "ictcp",
}
_RANGES: Final = {1: "tv", 2: "pc"}
_TEXT_SUBTITLES: Final = frozenset(
    ("ass", "mov_text", "srt", "ssa", "subrip", "subviewer", "text", "webvtt")
)
_SAMPLED_PACKETS: Final = 300
_REORDERED_PACKETS: Final = 16
"""More than the frames that a codec shows after ones that come later: H.264's most."""
_CLOCK_OF_MATROSKA: Final = Fraction(1, 1000)
_UNKNOWN_LANGUAGE: Final = "und"
MAX_LANGUAGE_CHARACTERS: Final = 32
_ENCRYPTED_TAGS: Final = frozenset(("encv", "drmi"))
"""Codecs of MP4 whose tracks do not say what they are underneath."""


class Encrypted(Exception):  # noqa: N818
    """The media are ciphertext: decoders would take them for damaged."""


@dataclass(slots=True)
class Extent:
    """What reading packets showed: per track the end in seconds, of the video also a count.

    ``frames`` is None where they were not read from the beginning.
    """

    ends: dict[int, float] = field(default_factory=dict)
    frames: int | None = None

    def end(self) -> float | None:
        """The end of the track that ends last."""
        return max(self.ends.values(), default=None)


def video_facts(
    media: av.container.InputContainer,
    video: av.VideoStream,
    extent: Extent | None,
    *,
    is_uneven: bool,
) -> dict[str, Any]:
    """What the header says, and ``extent`` measured; ``is_uneven`` is what its packets show."""
    context = video.codec_context
    counted = None if extent is None else extent.frames
    rate = video.average_rate or video.guessed_rate
    return {
        "codec": context.codec.canonical_name,
        "width": context.width,
        "height": context.height,
        "fps": str(Fraction(rate)) if rate else None,
        "frames": (video.frames or None) if counted is None else counted,
        "pixel_format": context.pix_fmt,
        "sample_aspect": str(Fraction(video.sample_aspect_ratio or 1)),
        "is_variable_rate": is_uneven or bool(rate and video.base_rate and rate != video.base_rate),
        "start_seconds": _start(media, video),
        "end_seconds": _end(media, video, extent),
    }


def is_uneven(media: av.container.InputContainer, video: av.VideoStream) -> bool:
    """True where its first frames are not as far apart as the header says, within a tick or 1 ms.

    Many files of uneven frames have a steady rate in their header.
    """
    rate, tick = video.average_rate, video.time_base
    if not rate or not tick:
        return False
    try:
        packets = itertools.islice(media.demux(video), _SAMPLED_PACKETS)
        times = sorted(packet.pts for packet in packets if packet.pts is not None)
    except (av.error.FFmpegError, OSError, EOFError):
        return False
    shown = times[:-_REORDERED_PACKETS] if len(times) == _SAMPLED_PACKETS else times
    step, slack = 1 / rate, max(Fraction(tick), _CLOCK_OF_MATROSKA)
    return any(abs((b - a) * tick - step) > slack for a, b in itertools.pairwise(shown))


def audio_facts(
    media: av.container.InputContainer, track: av.AudioStream, extent: Extent | None
) -> dict[str, Any]:
    """One track of sound."""
    context = track.codec_context
    return {
        "codec": context.codec.canonical_name,
        "channels": context.layout.nb_channels,
        "sample_rate": context.sample_rate,
        "end_seconds": _end(media, track, extent),
        "language": _language(track),
    }


def subtitle_facts(track: av.stream.Stream) -> dict[str, Any]:
    """One track of subtitles; ``none`` where ffmpeg does not know what they are."""
    context = cast("Any", track).codec_context
    codec = "none" if context is None else context.codec.canonical_name
    return {"codec": codec, "is_text": codec in _TEXT_SUBTITLES, "language": _language(track)}


def first_frame_facts(media: av.container.InputContainer, index: int) -> dict[str, Any]:
    """What only a decoded frame shows (turn, HDR metadata) or shows best (depth, colour).

    Raises Encrypted.
    """
    track = media.streams[index]
    if not isinstance(track, av.VideoStream):
        return {}
    track.codec_context.thread_count = 1
    try:
        frame = next(_frames(media, track), None)
    except (av.error.FFmpegError, OSError, EOFError):
        frame = None  # whether it decodes at all is for the encode to find out
    if frame is None:
        return {
            "bit_depth": _bit_depth(track.codec_context.pix_fmt),
            "colour": _colour(track.codec_context, {}),
        }
    return {
        "rotation_degrees": -round(frame.rotation) % 360,
        "bit_depth": _bit_depth(frame.format.name),
        "is_interlaced": frame.interlaced_frame,
        "colour": _colour(frame, frame.side_data),
    }


def check_clear(packet: "av.Packet[Any]") -> None:
    """Encrypted where it is."""
    if packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info"):
        raise Encrypted


def _frames(media: av.container.InputContainer, track: av.VideoStream) -> Iterator[av.VideoFrame]:
    if track.codec_context.codec_tag in _ENCRYPTED_TAGS:
        raise Encrypted
    for packet in media.demux(track):
        check_clear(packet)
        yield from packet.decode()


def _bit_depth(pixel_format: str | None) -> int:
    if pixel_format is None:
        return 8
    return max(component.bits for component in av.VideoFormat(pixel_format).components)


def _colour(
    said: av.VideoFrame | av.VideoCodecContext, metadata: Mapping[Any, Any]
) -> dict[str, Any]:
    return {
        "primaries": _PRIMARIES.get(int(said.color_primaries)),
        "transfer": _TRANSFERS.get(int(said.color_trc)),
        "matrix": _matrix(said),
        "range": _RANGES.get(int(said.color_range)),
        "has_mastering_display": metadata.get("MASTERING_DISPLAY_METADATA") is not None,
        "has_light_level": metadata.get("CONTENT_LIGHT_LEVEL") is not None,
    }


def _matrix(said: av.VideoFrame | av.VideoCodecContext) -> str | None:
    form = said.format
    if form is not None and (form.is_rgb or form.has_palette):
        return "gbr"
    return _MATRICES.get(int(said.colorspace))


def _language(track: av.stream.Stream) -> str | None:
    said = track.metadata.get("language")
    return None if said in (None, "", _UNKNOWN_LANGUAGE) else said[:MAX_LANGUAGE_CHARACTERS]


def _start(media: av.container.InputContainer, track: av.stream.Stream) -> float:
    first = seconds(track.start_time, track.time_base)
    return max(0.0, (first or 0.0) - (media.start_time or 0) / 1e6) if first is not None else 0.0


def _end(
    media: av.container.InputContainer, track: av.stream.Stream, extent: Extent | None
) -> float | None:
    if extent is not None and track.index in extent.ends:
        return extent.ends[track.index]
    length = seconds(track.duration, track.time_base)
    return None if length is None else _start(media, track) + length


def seconds(ticks: int | None, time_base: Fraction | None) -> float | None:
    return None if ticks is None or time_base is None else float(ticks * time_base)


def may_jump(media: av.container.InputContainer) -> bool:
    return bool(media.format.flags & cast("int", Flags.ts_discont.value))
