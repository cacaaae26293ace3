"""The command lines of the stand-in: what they ask of a GPU, and the same for the CPU.

Standard library only, as all of the stand-in.
"""

import itertools
import re

CODECS = {
    "nvenc": ("h264", "hevc", "av1"),
    "qsv": ("h264", "hevc", "av1", "vp9"),
    "vaapi": ("h264", "hevc", "av1", "vp9"),
}
SOFTWARE = {
    "h264": ("libx264", "-preset", "ultrafast"),
    "hevc": ("libx265", "-preset", "ultrafast", "-x265-params", "log-level=error"),
    "av1": ("libsvtav1", "-preset", "12"),
    "vp9": ("libvpx-vp9", "-deadline", "realtime", "-cpu-used", "8"),
}
SOFTWARE_CODECS = {encoder: codec for codec, (encoder, *_) in SOFTWARE.items()}
ENCODER_OPTIONS = ("-c", "-codec", "-vcodec")
DEVICE_OPTIONS = {"nvenc": "-gpu", "qsv": "-qsv_device", "vaapi": "-vaapi_device"}
QUALITY_OPTIONS = ("-cq", "-qp", "-global_quality")
DROPPED = {
    *DEVICE_OPTIONS.values(),
    *("-preset", "-tune", "-zerolatency", "-delay", "-bf", "-rc", "-rc_mode", "-forced-idr"),
    *("-forced_idr", "-async_depth", "-low_power", "-b_ref_mode", "-rc-lookahead"),
    *("-compression_level", "-init_hw_device", "-filter_hw_device"),
    *("-hwaccel", "-hwaccel_device", "-hwaccel_output_format"),
}
"""Options with a value that software encoders do not know, or know by other values."""
PIXEL_FORMATS = (("nv12", "yuv420p"), ("p010le", "yuv420p10le"))
CRF_PER_QUALITY = {("qsv", "av1"): 63 / 51, ("qsv", "vp9"): 63 / 51}
CRF_PER_QUALITY |= {("vaapi", "av1"): 1 / 4, ("vaapi", "vp9"): 1 / 4}
FILTER_OPTIONS = ("-vf", "-filter_complex")
GPU_SCALERS = {"nvenc": "scale_cuda", "qsv": "vpp_qsv", "vaapi": "scale_vaapi"}
FORMATS_OF_MEMORY = {"nvenc": "cuda", "qsv": "qsv", "vaapi": "vaapi"}
BLIND_FILTERS = {"fps", "format", "hwupload", "setsar", "split"}
"""What a frame may meet that is in a GPU's memory, beside that GPU's own scaler."""
SMALLEST = (145, 49)
"""Width and height below which NVENC refuses to encode."""


def split(option: str) -> tuple[str, str]:
    """An option's name, and which of an output's videos it is for: ``-cq``, ``:v:1``."""
    name, colon, stream = option.partition(":v")
    return (name, f":v{stream}") if colon else (option, "")


def value_of(argv: list[str], option: str) -> str | None:
    """The value of the last such option, whichever video it is for."""
    values = [value for name, value in itertools.pairwise(argv) if split(name)[0] == option]
    return values[-1] if values else None


def frame_size(argv: list[str]) -> tuple[int, int] | None:
    """Of the output: what the filters pad to, else the size of the synthetic source."""
    text = " ".join(argv)
    found = re.findall(r"\bpad=(\d+):(\d+)", text) or re.findall(r"\bs(?:ize)?=(\d+)x(\d+)", text)
    return (int(found[-1][0]), int(found[-1][1])) if found else None


def filters_of(argv: list[str]) -> str:
    """All filters of the command."""
    return ";".join(value for name, value in itertools.pairwise(argv) if name in FILTER_OPTIONS)


def decodes_on_gpu(argv: list[str], hardware: str) -> bool:
    """True where frames are decoded into the memory of that kind of GPU."""
    return value_of(argv, "-hwaccel_output_format") == FORMATS_OF_MEMORY[hardware]


def meets_wrong_memory(argv: list[str], hardware: str) -> bool:
    """True where a filter needs frames in the other memory than the one they are in."""
    names = set(re.findall(r"(?:^|[,;\]])(\w+)", filters_of(argv)))
    if decodes_on_gpu(argv, hardware):
        return bool(names - BLIND_FILTERS - {GPU_SCALERS[hardware]})
    return bool(names & set(GPU_SCALERS.values()))


def software_filters(filters: str) -> str:
    """The same filters for frames of the CPU."""
    here = re.sub(r"hwupload,|,hwupload\b", "", filters)
    scaler = rf"\b(?:{'|'.join(GPU_SCALERS.values())})=(w=\d+:h=\d+):(format=\w+)[^,;\[]*"
    here = re.sub(scaler, r"scale=\1,\2", here)
    for own, software_format in PIXEL_FORMATS:
        here = re.sub(rf"\bformat={own}(?:\|\w+)?", f"format={software_format}", here)
    return here


def software(argv: list[str], codec: str, hardware: str) -> list[str]:
    """The same command line for a software encoder."""
    out: list[str] = []
    values = iter(argv)
    for option in values:
        name, stream = split(option)
        if name in DROPPED:
            next(values, None)
        elif name in ENCODER_OPTIONS:
            next(values)
            out += [f"-c{stream or ':v'}", SOFTWARE[codec][0], *_tuned(codec, stream)]
        elif name in QUALITY_OPTIONS:
            quality = float(next(values)) * CRF_PER_QUALITY.get((hardware, codec), 1)
            out += [f"-crf{stream}", str(round(quality))]
        elif option in FILTER_OPTIONS:
            out += [option, software_filters(next(values))]
        elif name == "-b" and stream:
            bits = next(values)
            out += [option, bits] if bits != "0" else []
        elif name == "-maxrate" and codec == "av1":
            out += [f"-svtav1-params{stream}", "pred-struct=1", option, next(values)]
        else:
            out.append(option)
    return out


def _tuned(codec: str, stream: str) -> list[str]:
    """Options of the software encoder, for that video."""
    return [f"{one}{stream}" if one.startswith("-") else one for one in SOFTWARE[codec][1:]]
