"""Encoders of devices that are not there: see tests/media/ffmpeg_samples.py."""

# ruff: noqa: E501

from ffrtmp.domain.retry import FailureClass as Class
from tests.media.sample import Sample

DEVICES: tuple[Sample, ...] = (
    (
        "nvenc",
        255,
        Class.HARDWARE,
        "Cannot load libcuda.so.1",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "[h264_nvenc @ 0x556eadfbca40] [error] Cannot load libcuda.so.1\n"
            "[vost#0:0/h264_nvenc @ 0x556eadfb7d40] [enc:h264_nvenc @ 0x556eadf7c900] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"
            "[vf#0:0 @ 0x556eadfbd5c0] [error] Error sending frames to consumers: Operation not permitted\n"
            "[vost#0:0/h264_nvenc @ 0x556eadfb7d40] [error] Terminating thread with return code -22 (Invalid argument)\n"
            "[out#0/mp4 @ 0x556eae0c4240] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"
        ),
    ),
    (
        "qsv",
        171,
        Class.HARDWARE,
        "Error creating a MFX session: -9.",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "[h264_qsv @ 0x55ca79087a40] [error] Error creating a MFX session: -9.\n"
            "[vost#0:0/h264_qsv @ 0x55ca79082d40] [enc:h264_qsv @ 0x55ca79047900] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"
            "[vf#0:0 @ 0x55ca790885c0] [error] Error sending frames to consumers: Unknown error occurred\n"
            "[vf#0:0 @ 0x55ca790885c0] [error] Terminating thread with return code -1313558101 (Unknown error occurred)\n"
            "[out#0/mp4 @ 0x55ca7918f240] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"
        ),
    ),
    (
        "vaapi_device",
        234,
        Class.HARDWARE,
        "No VA display found for device /dev/dri/renderD128.",
        (
            "[VAAPI @ 0x55f70d2faec0] [error] No VA display found for device /dev/dri/renderD128.\n"
            "[error] Device creation failed: -22.\n"
            "[error] Failed to set value '/dev/dri/renderD128' for option 'vaapi_device': Invalid argument\n"
            "[fatal] Error parsing global options: Invalid argument\n"
        ),
    ),
    (
        "hevc_nvenc",
        255,
        Class.HARDWARE,
        "Cannot load libcuda.so.1",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[hevc_nvenc @ 0x55b034b01d40] [error] Cannot load libcuda.so.1\n"
            "[vost#0:0/hevc_nvenc @ 0x55b034b01240] [enc:hevc_nvenc @ 0x55b034b01c40] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"
            "[vf#0:0 @ 0x55b034b1de80] [error] Error sending frames to consumers: Operation not permitted\n"
            "[vf#0:0 @ 0x55b034b1de80] [error] Task finished with error code: -1 (Operation not permitted)\n"
            "[vf#0:0 @ 0x55b034b1de80] [error] Terminating thread with return code -1 (Operation not permitted)\n"
            "[vost#0:0/hevc_nvenc @ 0x55b034b01240] [enc:hevc_nvenc @ 0x55b034b01c40] [error] Could not open encoder before EOF\n"
            "[vost#0:0/hevc_nvenc @ 0x55b034b01240] [error] Task finished with error code: -22 (Invalid argument)\n"
        ),
    ),
    (
        "av1_nvenc",
        255,
        Class.HARDWARE,
        "Cannot load libcuda.so.1",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[av1_nvenc @ 0x5633f1fa1d40] [error] Cannot load libcuda.so.1\n"
            "[vost#0:0/av1_nvenc @ 0x5633f1fa1240] [enc:av1_nvenc @ 0x5633f1fa1c40] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"
            "[vf#0:0 @ 0x5633f1fbde80] [error] Error sending frames to consumers: Operation not permitted\n"
            "[vf#0:0 @ 0x5633f1fbde80] [error] Task finished with error code: -1 (Operation not permitted)\n"
            "[vf#0:0 @ 0x5633f1fbde80] [error] Terminating thread with return code -1 (Operation not permitted)\n"
            "[vost#0:0/av1_nvenc @ 0x5633f1fa1240] [enc:av1_nvenc @ 0x5633f1fa1c40] [error] Could not open encoder before EOF\n"
            "[vost#0:0/av1_nvenc @ 0x5633f1fa1240] [error] Task finished with error code: -22 (Invalid argument)\n"
        ),
    ),
    (
        "av1_qsv",
        171,
        Class.HARDWARE,
        "Error creating a MFX session: -9.",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[av1_qsv @ 0x564b4af5ed40] [error] Error creating a MFX session: -9.\n"
            "[vost#0:0/av1_qsv @ 0x564b4af5e240] [enc:av1_qsv @ 0x564b4af5ec40] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"
            "[vf#0:0 @ 0x564b4af5fac0] [error] Error sending frames to consumers: Unknown error occurred\n"
            "[vf#0:0 @ 0x564b4af5fac0] [error] Task finished with error code: -1313558101 (Unknown error occurred)\n"
            "[vost#0:0/av1_qsv @ 0x564b4af5e240] [enc:av1_qsv @ 0x564b4af5ec40] [error] Could not open encoder before EOF\n"
            "[vost#0:0/av1_qsv @ 0x564b4af5e240] [error] Task finished with error code: -22 (Invalid argument)\n"
            "[vf#0:0 @ 0x564b4af5fac0] [error] Terminating thread with return code -1313558101 (Unknown error occurred)\n"
        ),
    ),
    (
        "vaapi_init",
        234,
        Class.HARDWARE,
        "No VA display found for device /dev/dri/renderD128.",
        (
            "[VAAPI @ 0x562169426540] [error] No VA display found for device /dev/dri/renderD128.\n"
            "[error] Device creation failed: -22.\n"
            "[error] Failed to set value 'vaapi=v:/dev/dri/renderD128' for option 'init_hw_device': Invalid argument\n"
            "[fatal] Error parsing global options: Invalid argument\n"
        ),
    ),
    (
        "qsv_device",
        234,
        Class.HARDWARE,
        "No VA display found for device /dev/dri/renderD128.",
        (
            "[VAAPI @ 0x55fe24913440] [error] No VA display found for device /dev/dri/renderD128.\n"
            "[error] Device creation failed: -22.\n"
            "[error] Failed to set value '/dev/dri/renderD128' for option 'qsv_device': Invalid argument\n"
            "[fatal] Error parsing global options: Invalid argument\n"
        ),
    ),
    (
        "hevc_qsv",
        171,
        Class.HARDWARE,
        "Error creating a MFX session: -9.",
        (
            "[info] Input #0, lavfi, from 'testsrc2=d=0.2:s=256x256':\n"
            "[hevc_qsv @ 0x55b2355b2440] [error] Error creating a MFX session: -9.\n"
            "[vost#0:0/hevc_qsv @ 0x55b2355b18c0] [enc:hevc_qsv @ 0x55b2355b2380] [error] Error while opening encoder - maybe incorrect parameters such as bit_rate, rate, width or height.\n"
            "[vf#0:0 @ 0x55b2355b3d40] [error] Error sending frames to consumers: Unknown error occurred\n"
            "[vf#0:0 @ 0x55b2355b3d40] [error] Task finished with error code: -1313558101 (Unknown error occurred)\n"
            "[vost#0:0/hevc_qsv @ 0x55b2355b18c0] [error] Task finished with error code: -22 (Invalid argument)\n"
            "[out#0/null @ 0x55b2355b0d00] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"
        ),
    ),
    (
        "cuda_hwaccel",
        255,
        Class.HARDWARE,
        "Cannot load libcuda.so.1",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/wt/node/tests/media/bigbuckbunny.mp4':\n"
            "[CUDA @ 0x562e4e60f600] [error] Cannot load libcuda.so.1\n"
            "[CUDA @ 0x562e4e60f600] [error] Could not dynamically load CUDA\n"
            "[error] Device creation failed: -1.\n"
            "[vist#0:0/h264 @ 0x562e4e601840] [dec:h264 @ 0x562e4e60ed00] [error] No device available for decoder: device type cuda needed for codec h264.\n"
            "[vist#0:0/h264 @ 0x562e4e601840] [dec:h264 @ 0x562e4e60ed00] [error] Hardware device setup failed for decoder: Operation not permitted\n"
            "[error] Error opening output file file:o.mp4.\n"
            "[fatal] Error opening output files: Operation not permitted\n"
        ),
    ),
    (
        "h264_vaapi_nodev",
        218,
        Class.UNSUPPORTED,
        "Impossible to convert between the formats supported by the filter 'Parsed_null_0' and the filter 'auto_scale_0'",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[error] Impossible to convert between the formats supported by the filter 'Parsed_null_0' and the filter 'auto_scale_0'\n"
            "[error] Link 'Parsed_null_0.default' -> 'auto_scale_0.default':\n"
            "[error]   Pixel formats:\n"
            "[error]     src: yuv420p\n"
            "[error]     dst: yuv420p\n"
            "[error] Link 'auto_scale_0.default' -> 'format.default':\n"
            "[error]   Pixel formats:\n"
        ),
    ),
)
