"""The words of media that jobs may use, each a closed set or a typed value."""

import re
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import Self


class Codec(StrEnum):
    """Video codecs by their standard short names."""

    H264 = "h264"
    HEVC = "hevc"
    AV1 = "av1"
    VP9 = "vp9"


CODEC_ALIASES = {"h265": Codec.HEVC, "avc": Codec.H264, "x264": Codec.H264, "x265": Codec.HEVC}


class Preset(StrEnum):
    """Speed against quality, translated per encoder, never handed raw to one."""

    ULTRAFAST = "ultrafast"
    VERYFAST = "veryfast"
    FAST = "fast"
    MEDIUM = "medium"
    SLOW = "slow"


class Audio(StrEnum):
    """What happens to sound: re-encoded for the container, copied, or dropped."""

    AUTO = "auto"
    AAC = "aac"
    OPUS = "opus"
    COPY = "copy"
    NONE = "none"


class Container(StrEnum):
    """File formats by the extension that asks for them."""

    MP4 = "mp4"
    MKV = "mkv"
    WEBM = "webm"


class Engine(StrEnum):
    """Which program encodes."""

    AUTO = "auto"
    FFMPEG = "ffmpeg"
    GSTREAMER = "gstreamer"


class Hardware(StrEnum):
    """Where the encoder must run; ``auto`` takes any."""

    AUTO = "auto"
    CPU = "cpu"
    GPU = "gpu"
    NVENC = "nvenc"
    QSV = "qsv"
    VAAPI = "vaapi"


class OutputMode(StrEnum):
    """What the job makes: one file (of several renditions one each), an HLS folder, a stream."""

    FILE = "file"
    RTMP = "rtmp"
    HLS = "hls"


class Fit(StrEnum):
    """How a picture of another shape comes into the asked size: with bars, or smaller than it."""

    PAD = "pad"
    INSIDE = "inside"


class DynamicRange(StrEnum):
    """Whether HDR stays HDR or is tone-mapped to BT.709; SDR is never changed."""

    KEEP = "keep"
    SDR = "sdr"


class Channels(StrEnum):
    """How many channels re-encoded sound has; ``keep`` is up to 5.1."""

    KEEP = "keep"
    STEREO = "stereo"
    MONO = "mono"


class Subtitles(StrEnum):
    """Subtitles are kept where the container can hold them, or dropped."""

    AUTO = "auto"
    NONE = "none"


class Verify(StrEnum):
    """How the finished output is checked: its streams are read, or decoded to the last frame."""

    PROBE = "probe"
    DECODE = "decode"


class Metric(StrEnum):
    """How like its input an output is, by the names of ffmpeg's filters."""

    VMAF = "vmaf"
    PSNR = "psnr"
    SSIM = "ssim"


BIT_DEPTHS = (8, 10)


_NTSC = {
    "23.976": Fraction(24000, 1001),
    "23.98": Fraction(24000, 1001),
    "29.97": Fraction(30000, 1001),
    "59.94": Fraction(60000, 1001),
}
MAX_FRAMES_PER_SECOND = 240


def frame_rate(text: str) -> Fraction:
    """Frames per second, exact: ``30``, ``29.97`` (30000/1001), ``24000/1001``.

    Raises ValueError for anything that is not a rate between 1 and 240.
    """
    if text in _NTSC:
        return _NTSC[text]
    if not re.fullmatch(r"\d{1,3}(\.\d{1,3})?|\d{1,6}/\d{1,5}", text):
        raise ValueError(f"{text!r} is not a frame rate such as 30, 29.97 or 30000/1001")
    try:
        rate = Fraction(text)
    except ZeroDivisionError:
        raise ValueError(f"{text!r} divides by zero") from None
    if not 1 <= rate <= MAX_FRAMES_PER_SECOND:
        raise ValueError(f"{text!r} is not between 1 and {MAX_FRAMES_PER_SECOND} frames per second")
    return rate


@dataclass(frozen=True, slots=True, kw_only=True)
class FrameSize:
    """Width and height in pixels."""

    width: int
    height: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """``1280x720`` or a name such as ``720p`` or ``4K``; ValueError for anything else."""
        named = FRAME_SIZES.get(text.lower())
        if named is not None:
            return cls(width=named[0], height=named[1])
        match = re.fullmatch(r"(\d{2,4})x(\d{2,4})", text)
        if match is None:
            names = ", ".join(SIZE_NAMES)
            raise ValueError(f"{text!r} is not WIDTHxHEIGHT such as 1280x720, nor one of {names}")
        width, height = int(match[1]), int(match[2])
        if width % 2 or height % 2:
            raise ValueError(f"{text!r} has an odd side; 4:2:0 video needs even ones")
        if not (16 <= width <= 8192 and 16 <= height <= 8192):
            raise ValueError(f"{text!r} has a side outside 16 to 8192 pixels")
        return cls(width=width, height=height)

    def __str__(self) -> str:
        return f"{self.width}x{self.height}"


FRAME_SIZES = {
    "4k": (3840, 2160),
    "2160p": (3840, 2160),
    "1440p": (2560, 1440),
    "1080p": (1920, 1080),
    "720p": (1280, 720),
    "480p": (854, 480),
    "360p": (640, 360),
}
SIZE_NAMES = ("4K", "2160p", "1440p", "1080p", "720p", "480p", "360p")

MIN_BITS_PER_SECOND = 10_000
MAX_BITS_PER_SECOND = 400_000_000
MIN_AUDIO_BITS_PER_SECOND = 16_000
MAX_AUDIO_BITS_PER_SECOND = 1_000_000


def bits_per_second(text: str) -> int:
    """``2500k``, ``5M``, ``1.5M`` or plain bits; ValueError outside 10 kbit/s … 400 Mbit/s."""
    match = re.fullmatch(r"(\d{1,9})(\.\d{1,3})?([kKmM]?)", text)
    if match is None:
        raise ValueError(f"{text!r} is not a bit rate such as 2500k or 5M")
    factor = {"": 1, "k": 1_000, "m": 1_000_000}[match[3].lower()]
    bits = int(Fraction(match[1] + (match[2] or "")) * factor)
    if not MIN_BITS_PER_SECOND <= bits <= MAX_BITS_PER_SECOND:
        raise ValueError(f"{text!r} is not between 10k and 400M")
    return bits


def audio_bits_per_second(text: str) -> int:
    """``128k`` and such; ValueError outside 16 kbit/s … 1 Mbit/s."""
    bits = bits_per_second(text)
    if not MIN_AUDIO_BITS_PER_SECOND <= bits <= MAX_AUDIO_BITS_PER_SECOND:
        raise ValueError(f"{text!r} is not between 16k and 1M")
    return bits


def codec_named(text: str) -> Codec:
    """The codec of a name or alias (``h265`` is hevc); ValueError with the list otherwise."""
    lowered = text.lower()
    if lowered in CODEC_ALIASES:
        return CODEC_ALIASES[lowered]
    try:
        return Codec(lowered)
    except ValueError:
        raise ValueError(f"{text!r} is not one of h264, h265, hevc, av1, vp9") from None
