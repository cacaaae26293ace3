"""The flags of ``jobs submit`` that say what the output is like, beyond those everybody needs."""

import re
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from cli.exits import UsageError
from ffrtmp.domain.media import (
    Channels,
    Container,
    DynamicRange,
    Fit,
    OutputMode,
    Subtitles,
    Verify,
)

MEDIA = "Media"


def media(*names: str, say: str) -> Any:
    """An option of the panel of media flags."""
    return typer.Option(*names, help=say, rich_help_panel=MEDIA, show_default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaFlags:
    """None was not given."""

    container: Annotated[
        Container | None, media("--container", say="for an output that names none")
    ] = None
    max_bitrate: Annotated[
        str | None, media("--max-bitrate", say="ceiling of a --crf or of a --bitrate")
    ] = None
    loop: Annotated[
        bool | None, media("--loop", say="begin an input file again at its end, for a stream")
    ] = None
    two_pass: Annotated[
        bool, media("--two-pass", say="encode twice, to meet a --bitrate better")
    ] = False
    rendition: Annotated[
        list[str] | None,
        media("--rendition", say="one picture of several: 720p, or 1280x720@2500k; repeatable"),
    ] = None
    hls: Annotated[bool, media("--hls", say="make a folder of HLS instead of a file")] = False
    fit: Annotated[
        Fit | None, media("--fit", say="the very size with bars, or a picture inside it")
    ] = None
    upscale: Annotated[
        bool | None,
        media("--upscale/--no-upscale", say="whether the picture may become larger"),
    ] = None
    bit_depth: Annotated[
        int | None, media("--bit-depth", say="8 or 10, whatever the input has")
    ] = None
    dynamic_range: Annotated[
        DynamicRange | None, media("--dynamic-range", say="sdr tone-maps HDR, keep carries it")
    ] = None
    subtitles: Annotated[
        Subtitles | None, media("--subtitles", say="auto keeps those the container can hold")
    ] = None
    audio_tracks: Annotated[
        str | None, media("--audio-tracks", say="numbers of the input's tracks: 1,3")
    ] = None
    audio_channels: Annotated[
        Channels | None, media("--audio-channels", say="keep, stereo or mono")
    ] = None
    audio_bitrate: Annotated[
        str | None, media("--audio-bitrate", say="of each track, such as 128k")
    ] = None
    verify: Annotated[
        Verify | None, media("--verify", say="decode reads the output to its last frame")
    ] = None
    max_cpu: Annotated[
        int | None, media("--max-cpu", say="percent of one core an attempt may use: 250 is 2.5")
    ] = None
    max_memory: Annotated[
        int | None, media("--max-memory", say="MB of memory an attempt may use")
    ] = None
    max_disk: Annotated[int | None, media("--max-disk", say="MB an attempt may write")] = None
    vmaf: Annotated[bool, media("--vmaf", say="measure how like its input the output looks")] = (
        False
    )
    psnr: Annotated[bool, media("--psnr", say="measure the signal-to-noise ratio")] = False
    ssim: Annotated[bool, media("--ssim", say="measure the structural similarity")] = False
    min_vmaf: Annotated[
        float | None,
        media("--min-vmaf", say="below this mean VMAF encode once more, better, or fail"),
    ] = None

    def limits(self) -> dict[str, int]:
        """What an attempt may take, as in ``resource_limits`` of a job."""
        asked = {
            "max_cpu_percent": self.max_cpu,
            "max_memory_mb": self.max_memory,
            "max_disk_mb": self.max_disk,
        }
        return {name: value for name, value in asked.items() if value is not None}

    def parameters(self) -> dict[str, Any]:
        """The same as parameters of a job; UsageError names a flag that says nothing."""
        return {
            "container": self.container,
            "max_bitrate": self.max_bitrate,
            "loop": self.loop,
            "two_pass": self.two_pass or None,
            "renditions": None if not self.rendition else [_rendition(it) for it in self.rendition],
            "fit": self.fit,
            "upscale": self.upscale,
            "bit_depth": self.bit_depth,
            "dynamic_range": self.dynamic_range,
            "subtitles": self.subtitles,
            "audio_tracks": _numbers(self.audio_tracks),
            "audio_channels": self.audio_channels,
            "audio_bitrate": self.audio_bitrate,
            "verify": self.verify,
            "vmaf": self.vmaf or None,
            "psnr": self.psnr or None,
            "ssim": self.ssim or None,
            "min_vmaf": self.min_vmaf,
            # another flag may have said another
            **({"output_mode": OutputMode.HLS} if self.hls else {}),
        }


def _rendition(text: str) -> dict[str, str]:
    resolution, has_rate, bitrate = text.partition("@")
    return {"resolution": resolution} | ({"bitrate": bitrate} if has_rate else {})


def _numbers(text: str | None) -> list[int] | None:
    if text is None:
        return None
    if not re.fullmatch(r"[0-9]{1,3}(,[0-9]{1,3})*", text):
        raise UsageError("--audio-tracks has numbers, such as 1,3")
    return [int(number) for number in text.split(",")]
