"""What ffmpeg says when a GPU fails, from its sources: no test host can make these happen.

Each is the printf format that the source has (of libavcodec, where no other folder is named) and
the line as it comes out of it.
"""

# ruff: noqa: E501

GpuLine = tuple[str, str, str]
"""Source file, format, line."""

_NVENC_ERROR = "%s: %s (%d): %s"
_CUDA_ERROR = "%s failed -> %s: %s"
_MFX_ERROR = "%s: %s (%d)"

GPU_FAILURES: tuple[GpuLine, ...] = (
    ("nvenc.c", _NVENC_ERROR, "OpenEncodeSessionEx failed: out of memory (10): (no details)"),
    (
        "nvenc.c",
        _NVENC_ERROR,
        "OpenEncodeSessionEx failed: incompatible client key (21): (no details)",
    ),
    ("nvenc.c", _NVENC_ERROR, "OpenEncodeSessionEx failed: unsupported device (2): (no details)"),
    ("nvenc.c", _NVENC_ERROR, "OpenEncodeSessionEx failed: no encode device (1): (no details)"),
    ("nvenc.c", _NVENC_ERROR, "CreateInputBuffer failed: out of memory (10): "),
    ("nvenc.c", _NVENC_ERROR, "CreateBitstreamBuffer failed: out of memory (10): "),
    ("nvenc.c", _NVENC_ERROR, "EncodePicture failed!: generic error (20): "),
    ("nvenc.c", _NVENC_ERROR, "Failed locking bitstream buffer: encoder busy (18): "),
    ("nvenc.c", _NVENC_ERROR, "Failed unlocking input buffer!: generic error (20): "),
    ("nvenc.c", _NVENC_ERROR, "SetIOCudaStreams failed: invalid encoder device (3): "),
    ("nvenc.c", "No capable devices found", "No capable devices found"),
    ("nvenc.c", "No CUDA capable devices found", "No CUDA capable devices found"),
    ("older nvenc.c", "No NVENC capable devices found", "No NVENC capable devices found"),
    (
        "older nvenc.c",
        "Failed creating CUDA context for NVENC: 0x%x",
        "Failed creating CUDA context for NVENC: 0x2",
    ),
    (
        "nvenc.c",
        "Requested GPU %d, but only %d GPUs are available!",
        "Requested GPU 3, but only 2 GPUs are available!",
    ),
    (
        "nvenc.c",
        "Driver does not support the required nvenc API version. Required: %d.%d Found: %d.%d",
        "Driver does not support the required nvenc API version. Required: 13.0 Found: 12.1",
    ),
    (
        "nvenc.c",
        "The minimum required Nvidia driver for nvenc is %s or newer",
        "The minimum required Nvidia driver for nvenc is 610.00 or newer",
    ),
    (
        "nvenc.c",
        "Provided device doesn't support required NVENC features",
        "Provided device doesn't support required NVENC features",
    ),
    ("dynlink_loader.h of nv-codec-headers", "Cannot load %s", "Cannot load libcuda.so.1"),
    ("dynlink_loader.h of nv-codec-headers", "Cannot load %s", "Cannot load libnvidia-encode.so.1"),
    (
        "libavutil/cuda_check.h",
        _CUDA_ERROR,
        "dl_fn->cuda_dl->cuInit(0) failed -> CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
    ),
    (
        "libavutil/cuda_check.h",
        _CUDA_ERROR,
        "dl_fn->cuda_dl->cuCtxCreate(&ctx->cu_context_internal, 0, cu_device) failed -> CUDA_ERROR_OUT_OF_MEMORY: out of memory",
    ),
    (
        "libavutil/cuda_check.h",
        "%s failed",
        "dl_fn->cuda_dl->cuCtxCreate(&ctx->cu_context_internal, 0, cu_device) failed",
    ),
    (
        "libavutil/hwcontext_cuda.c",
        "Could not dynamically load CUDA",
        "Could not dynamically load CUDA",
    ),
    ("qsv.c", "Error creating a MFX session: %d.", "Error creating a MFX session: -9."),
    ("older qsv.c", _MFX_ERROR, "Error initializing an internal MFX session: unsupported (-3)"),
    ("older qsv.c", "%s", "Error initializing an internal MFX session"),
    ("qsv.c", _MFX_ERROR, "Error during set display handle: device failed (-17)"),
    ("qsvenc.c", _MFX_ERROR, "Error during encoding: device failed (-17)"),
    ("qsvenc.c", _MFX_ERROR, "Error during encoding: GPU Hang (-21)"),
    ("qsvenc.c", _MFX_ERROR, "Error during encoding: device lost (-13)"),
    ("qsvenc.c", _MFX_ERROR, "Error initializing the encoder: invalid video parameters (-15)"),
    ("qsvenc.c", _MFX_ERROR, "Error querying encoder params: unsupported (-3)"),
    ("qsvenc.c", _MFX_ERROR, "Error querying (IOSurf) the encoding parameters: unsupported (-3)"),
    (
        "libavutil/hwcontext_vaapi.c",
        "Failed to initialise VAAPI connection: %d (%s).",
        "Failed to initialise VAAPI connection: -1 (unknown libva error).",
    ),
    (
        "libavutil/hwcontext_vaapi.c",
        "No VA display found for device %s.",
        "No VA display found for device /dev/dri/renderD128.",
    ),
    (
        "libavutil/hwcontext_vaapi.c",
        "Failed to sync surface %#x: %d (%s).",
        "Failed to sync surface 0x4000003: 23 (internal decoding error).",
    ),
    (
        "libavutil/hwcontext_vaapi.c",
        "Failed to create surface: %d (%s).",
        "Failed to create surface: 2 (resource allocation failed).",
    ),
    (
        "libavutil/hwcontext_vaapi.c",
        "Failed to map image from surface %#x: %d (%s).",
        "Failed to map image from surface 0x4000003: 1 (operation failed).",
    ),
    (
        "vaapi_encode.c",
        "Failed to end picture encode issue: %d (%s).",
        "Failed to end picture encode issue: 24 (internal encoding error).",
    ),
    (
        "vaapi_encode.c",
        "Failed to begin picture encode issue: %d (%s).",
        "Failed to begin picture encode issue: 1 (operation failed).",
    ),
    (
        "vaapi_encode.c",
        "Failed to sync to picture completion: %d (%s).",
        "Failed to sync to picture completion: 38 (operation timed out).",
    ),
    (
        "vaapi_encode.c",
        "Failed to map output buffers: %d (%s).",
        "Failed to map output buffers: 24 (internal encoding error).",
    ),
    (
        "vaapi_encode.c",
        "Failed to create encode pipeline configuration: %d (%s).",
        "Failed to create encode pipeline configuration: 14 (the requested VAEntryPoint is not supported).",
    ),
    (
        "libavutil/cuda_check.h",
        _CUDA_ERROR,
        "decoder->cvdl->cuvidCreateDecoder(&decoder->decoder, params) failed -> CUDA_ERROR_NO_DEVICE: no CUDA-capable device is detected",
    ),
    (
        "libavutil/cuda_check.h",
        "%s failed",
        "decoder->cvdl->cuvidDecodePicture(decoder->decoder, &ctx->pic_params) failed",
    ),
    ("nvdec.c", "Failed loading nvcuvid.", "Failed loading nvcuvid."),
    ("nvdec.c", "No decoder surfaces left", "No decoder surfaces left"),
    ("qsvdec.c", _MFX_ERROR, "Error during QSV decoding.: device failed (-17)"),
    ("qsvdec.c", _MFX_ERROR, "Error initializing the MFX video decoder: device failed (-17)"),
    (
        "libavfilter/qsvvpp.c",
        _MFX_ERROR,
        "Failed to create a qsvvpp: device failed (-17)",
    ),
    ("libavfilter/qsvvpp.c", _MFX_ERROR, "Error running VPP: device failed (-17)"),
    (
        "vaapi_decode.c",
        "Failed to end picture decode issue: %d (%s).",
        "Failed to end picture decode issue: 23 (internal decoding error).",
    ),
    (
        "vaapi_decode.c",
        "Failed to create decode context: %d (%s).",
        "Failed to create decode context: 2 (resource allocation failed).",
    ),
    (
        "libavfilter/vaapi_vpp.c",
        "Failed to create processing pipeline config: %d (%s).",
        "Failed to create processing pipeline config: 14 (the requested VAEntryPoint is not supported).",
    ),
)
"""A GPU that should do it does not."""

GPU_LIMITS: tuple[GpuLine, ...] = (
    (
        "nvenc.c",
        _NVENC_ERROR,
        "InitializeEncoder failed: invalid param (8): Frame Dimension less than the minimum supported value.",
    ),
    ("nvenc.c", _NVENC_ERROR, "InitializeEncoder failed: invalid param (8): Invalid Level."),
    (
        "nvenc.c",
        _NVENC_ERROR,
        "Cannot get the preset configuration: unsupported param (12): (no details)",
    ),
    ("nvenc.c", "Codec not supported", "Codec not supported"),
    ("nvenc.c", "10 bit encode not supported", "10 bit encode not supported"),
    ("nvenc.c", "Width %d exceeds %d", "Width 8192 exceeds 4096"),
    ("nvenc.c", "Height %d exceeds %d", "Height 8192 exceeds 4096"),
    ("nvenc.c", "Max B-frames %d exceed %d", "Max B-frames 3 exceed 0"),
    ("nvenc.c", "RC lookahead not supported", "RC lookahead not supported"),
    (
        "nvenc.c",
        "B frames as references are not supported",
        "B frames as references are not supported",
    ),
    (
        "nvenc.c",
        "Middle B frame reference mode is not supported",
        "Middle B frame reference mode is not supported",
    ),
    (
        "nvenc.c",
        "Multiple reference frames are not supported by the device",
        "Multiple reference frames are not supported by the device",
    ),
    (
        "qsvenc.c",
        "Selected ratecontrol mode is unsupported",
        "Selected ratecontrol mode is unsupported",
    ),
    ("qsvenc.c", "Current resolution is unsupported", "Current resolution is unsupported"),
    ("qsvenc.c", "Current codec type is unsupported", "Current codec type is unsupported"),
    (
        "qsvenc.c",
        "some encoding parameters are not supported by the QSV runtime. Please double check the input parameters.",
        "some encoding parameters are not supported by the QSV runtime. Please double check the input parameters.",
    ),
    ("vaapi_encode.c", "No usable encoding profile found.", "No usable encoding profile found."),
    (
        "vaapi_encode.c",
        "No usable encoding entrypoint found for profile %s (%d).",
        "No usable encoding entrypoint found for profile VAProfileH264High (7).",
    ),
    (
        "vaapi_encode.c",
        "Driver does not support %s RC mode (supported modes: %s).",
        "Driver does not support CBR RC mode (supported modes: CQP).",
    ),
    (
        "vaapi_encode.c",
        "Hardware does not support encoding at size %dx%d (constraints: width %d-%d height %d-%d).",
        "Hardware does not support encoding at size 64x64 (constraints: width 128-4096 height 128-4096).",
    ),
    (
        "nvdec.c",
        "Hardware is lacking required capabilities",
        "Hardware is lacking required capabilities",
    ),
    (
        "nvdec.c",
        "Video width %d not within range from %d to %d",
        "Video width 8192 not within range from 48 to 4096",
    ),
    (
        "nvdec.c",
        "Video macroblock count %d exceeds maximum of %d",
        "Video macroblock count 131072 exceeds maximum of 65536",
    ),
    (
        "vaapi_decode.c",
        "No support for codec %s profile %d.",
        "No support for codec av1 profile 0.",
    ),
    (
        "vaapi_decode.c",
        "Codec %s profile %d not supported for hardware decode.",
        "Codec h264 profile 110 not supported for hardware decode.",
    ),
    (
        "av1dec.c",
        "Your platform doesn't support hardware accelerated AV1 decoding.",
        "Your platform doesn't support hardware accelerated AV1 decoding.",
    ),
    ("qsvdec.c", _MFX_ERROR, "Error initializing the MFX video decoder: unsupported (-3)"),
    (
        "qsvdec.c",
        _MFX_ERROR,
        "Error initializing the MFX video decoder: invalid video parameters (-15)",
    ),
)
"""A GPU that works cannot do this."""
