"""Pictures that stay on a GPU: decoded, scaled and encoded there, purely.

A GPU does it where nothing has to be done that only the CPU does well: turn, pad, map tones,
deinterlace, change the depth. All else is decoded and scaled on the CPU, and handed over last.
"""

from typing import Final

from ffrtmp.domain.media import FrameSize, Hardware
from workers.ffmpeg.facts import VideoFacts
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.target import Coded, Target

MIN_SIDE: Final = 144
"""NVDEC's least width for HEVC; the other decoders take less."""
MAX_SIDE: Final = 4096
"""NVDEC's and Quick Sync's bound for H.264; many decode larger HEVC, and it costs little then to
scale on the CPU."""
_PIXELS: Final = {8: "yuv420p", 10: "yuv420p10le"}
_MEMORY: Final = {8: "nv12", 10: "p010le"}
"""How GPUs keep 4:2:0 pictures, by depth."""
_CUDA: Final = "gpu"
"""What the CUDA device is called in one command."""


def stays_on_gpu(plan: Plan, target: Target) -> bool:
    """True where the device decodes the source and does all that the plan asks of a picture."""
    if target.hardware is Hardware.CPU or plan.source is None:
        return False
    video = plan.source.video
    return (
        Coded(codec=video.codec, bit_depth=video.bit_depth) in target.decodes
        and _is_plain(video)
        and video.bit_depth == plan.bit_depth
        and not plan.is_tone_mapped
        and not any(picture.is_padded for picture in plan.pictures)
    )


def _is_plain(video: VideoFacts) -> bool:
    return (
        video.pixel_format == _PIXELS.get(video.bit_depth)
        and video.colour.range != "pc"
        and not video.rotation_degrees
        and not video.is_interlaced
        and all(
            MIN_SIDE <= side <= MAX_SIDE and side % 2 == 0 for side in (video.width, video.height)
        )
    )


def gpu_options(plan: Plan, target: Target) -> tuple[str, ...]:
    """What stands before the input of a plan whose pictures stay on the GPU."""
    if not stays_on_gpu(plan, target):
        return ()
    return (*memory_options(target), *decoder_options(target))


def memory_options(target: Target) -> tuple[str, ...]:
    """Global options beside those of the device: where frames live. QSV and VAAPI need none."""
    if target.hardware is not Hardware.NVENC:
        return ()
    device = f"cuda={_CUDA}:{target.address}"
    return ("-init_hw_device", device, "-filter_hw_device", _CUDA)


def decoder_options(target: Target) -> tuple[str, ...]:
    """Options of the input: decode on the device that the global options opened."""
    if target.hardware is Hardware.NVENC:
        return ("-hwaccel", "cuda", "-hwaccel_device", _CUDA, "-hwaccel_output_format", "cuda")
    family = target.hardware.value
    return ("-hwaccel", family, "-hwaccel_output_format", family)


def arrival(target: Target, *, bit_depth: int) -> tuple[str, ...]:
    """The filters that frames meet first.

    Of a stream that turns out to be beyond the device ffmpeg decodes the rest in software: then
    they upload, else they do nothing. QSV's decoders have no such way out.
    """
    match target.hardware:
        case Hardware.NVENC:
            return (f"format={_MEMORY[bit_depth]}|cuda", "hwupload")
        case Hardware.VAAPI:
            return (f"format={_MEMORY[bit_depth]}|vaapi", "hwupload")
        case _:
            return ()


def scaled(target: Target, size: FrameSize, *, bit_depth: int) -> str:
    """The filter that gives a frame its size, and the encoder its pixel format."""
    shape = f"w={size.width}:h={size.height}:format={_MEMORY[bit_depth]}"
    match target.hardware:
        case Hardware.NVENC:
            # unscaled frames would be the decoder's own, and it has few to lend to an encoder
            return f"scale_cuda={shape}:passthrough=0"
        case Hardware.QSV:
            return f"vpp_qsv={shape}"
        case _:
            return f"scale_vaapi={shape}"
