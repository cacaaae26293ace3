"""Which encoder runs where, and the flags that every use of it needs, purely."""

from dataclasses import dataclass, replace
from typing import Final

from ffrtmp.domain.media import Codec, Hardware

SOFTWARE_ENCODERS: Final = {
    Codec.H264: "libx264",
    Codec.HEVC: "libx265",
    Codec.AV1: "libsvtav1",
    Codec.VP9: "libvpx-vp9",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Coded:
    """A kind of compressed picture, as a decoder distinguishes them; all are 4:2:0.

    ``codec`` is ffmpeg's short name, as of ``VideoFacts``.
    """

    codec: str
    bit_depth: int

    def __str__(self) -> str:
        return self.codec if self.bit_depth == 8 else f"{self.codec}:{self.bit_depth}bit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One device and the way it is spoken to.

    ``address`` is the GPU's index for NVENC (``0``), the render node's path for QSV and VAAPI
    (``/dev/dri/renderD128``), None for the CPU. ``decodes`` is what a GPU was seen to decode into
    its own memory, scale there and encode.
    """

    hardware: Hardware = Hardware.CPU
    address: str | None = None
    decodes: frozenset[Coded] = frozenset()

    def without_decoding(self) -> "Target":
        """The same device, for encoding only."""
        return replace(self, decodes=frozenset())


CPU: Final = Target()


def encoder_name(target: Target, codec: Codec) -> str:
    """ffmpeg's name of the encoder: ``libx264``, ``h264_nvenc``."""
    if target.hardware is Hardware.CPU:
        return SOFTWARE_ENCODERS[codec]
    return f"{codec}_{target.hardware}"


def device_options(target: Target) -> tuple[str, ...]:
    """Global options, before the inputs."""
    match target.hardware:
        case Hardware.VAAPI:
            return ("-vaapi_device", str(target.address))
        case Hardware.QSV:
            return ("-qsv_device", str(target.address))
        case _:
            return ()


def encoder_options(target: Target) -> tuple[str, ...]:
    """Options of the encoder that choose the device."""
    return ("-gpu", str(target.address)) if target.hardware is Hardware.NVENC else ()


def pixel_filters(target: Target, *, is_ten_bit: bool = False) -> tuple[str, ...]:
    """The last filters before the encoder: its pixel format, and the way onto the device."""
    match target.hardware:
        case Hardware.CPU:
            return ("format=yuv420p10le" if is_ten_bit else "format=yuv420p",)
        case Hardware.VAAPI:
            return ("format=p010le" if is_ten_bit else "format=nv12", "hwupload")
        case _:
            return ("format=p010le" if is_ten_bit else "format=nv12",)
