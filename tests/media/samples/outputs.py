"""Outputs: see tests/media/ffmpeg_samples.py."""

# ruff: noqa: E501

from ffrtmp.domain.retry import FailureClass as Class
from tests.media.sample import Sample

OUTPUTS: tuple[Sample, ...] = (
    (
        "outdir",
        254,
        Class.OUTPUT_REFUSED,
        "Error opening output file:/nodir/o.mp4: No such file or directory",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "[out#0/mp4 @ 0x55c782601c80] [fatal] Error opening output file:/nodir/o.mp4: No such file or directory\n"
            "[error] Error opening output file file:/nodir/o.mp4.\n"
            "[fatal] Error opening output files: No such file or directory\n"
        ),
    ),
    (
        "outisdir",
        235,
        Class.OUTPUT_REFUSED,
        "Error opening output file:/tmp/ff/: Is a directory",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "[out#0/mp4 @ 0x55cfd9540c80] [fatal] Error opening output file:/tmp/ff/: Is a directory\n"
            "[error] Error opening output file file:/tmp/ff/.\n"
            "[fatal] Error opening output files: Is a directory\n"
        ),
    ),
    (
        "erofs",
        226,
        Class.OUTPUT_REFUSED,
        "Error opening output file:/tmp/ff/rom/o.mp4: Read-only file system",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "[out#0/mp4 @ 0x55d4a62f2c80] [fatal] Error opening output file:/tmp/ff/rom/o.mp4: Read-only file system\n"
            "[error] Error opening output file file:/tmp/ff/rom/o.mp4.\n"
            "[fatal] Error opening output files: Read-only file system\n"
        ),
    ),
    (
        "full",
        228,
        Class.NO_SPACE,
        "Could not write header (incorrect codec parameters ?): No space left on device",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "[out#0/mp4 @ 0x55aa6dd62c80] [error] Could not write header (incorrect codec parameters ?): No space left on device\n"
            "[vf#0:0 @ 0x55aa6dd06ac0] [error] Error sending frames to consumers: No space left on device\n"
            "[vf#0:0 @ 0x55aa6dd06ac0] [error] Task finished with error code: -28 (No space left on device)\n"
            "[vf#0:0 @ 0x55aa6dd06ac0] [error] Terminating thread with return code -28 (No space left on device)\n"
            "[out#0/mp4 @ 0x55aa6dd62c80] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"
        ),
    ),
    (
        "nospace",
        228,
        Class.NO_SPACE,
        "Error submitting a packet to the muxer: No space left on device",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "[vost#0:0/libx264 @ 0x5604284e61c0] [error] Error submitting a packet to the muxer: No space left on device\n"
            "[out#0/mp4 @ 0x5604284e8bc0] [error] Error muxing a packet\n"
            "[out#0/mp4 @ 0x5604284e8bc0] [error] Task finished with error code: -28 (No space left on device)\n"
            "[out#0/mp4 @ 0x5604284e8bc0] [error] Error writing trailer: No space left on device\n"
            "[out#0/mp4 @ 0x5604284e8bc0] [error] Error closing file: No space left on device\n"
        ),
    ),
    (
        "nospacemkv",
        228,
        Class.NO_SPACE,
        "Error submitting a packet to the muxer: No space left on device",
        (
            "[info] Input #0, mov,mp4,m4a,3gp,3g2,mj2, from 'file:/work/main/tests/media/bigbuckbunny.mp4':\n"
            "[vost#0:0/libx264 @ 0x55cff44a21c0] [error] Error submitting a packet to the muxer: No space left on device\n"
            "[out#0/matroska @ 0x55cff44a4bc0] [error] Error muxing a packet\n"
            "[out#0/matroska @ 0x55cff44a4bc0] [error] Task finished with error code: -28 (No space left on device)\n"
            "[out#0/matroska @ 0x55cff44a4bc0] [error] Error writing trailer: No space left on device\n"
            "[out#0/matroska @ 0x55cff44a4bc0] [error] Error closing file: No space left on device\n"
        ),
    ),
    (
        "perm_out",
        243,
        Class.OUTPUT_REFUSED,
        "Error opening output file:/tmp/ff/ro/zz.mp4: Permission denied",
        (
            "[out#0/mp4 @ 0x5612c658dcc0] [fatal] Error opening output file:/tmp/ff/ro/zz.mp4: Permission denied\n"
            "[error] Error opening output file file:/tmp/ff/ro/zz.mp4.\n"
            "[fatal] Error opening output files: Permission denied\n"
        ),
    ),
    (
        "dev_full",
        228,
        Class.NO_SPACE,
        "Error writing trailer: No space left on device",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[out#0/matroska @ 0x5622feafc500] [error] Error writing trailer: No space left on device\n"
            "[out#0/matroska @ 0x5622feafc500] [error] Error closing file: No space left on device\n"
        ),
    ),
    (
        "dev_full_mp4",
        228,
        Class.NO_SPACE,
        "Could not write header (incorrect codec parameters ?): No space left on device",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[out#0/mp4 @ 0x5655722d0500] [error] Could not write header (incorrect codec parameters ?): No space left on device\n"
            "[vf#0:0 @ 0x5655722d3b80] [error] Error sending frames to consumers: No space left on device\n"
            "[vf#0:0 @ 0x5655722d3b80] [error] Task finished with error code: -28 (No space left on device)\n"
            "[vf#0:0 @ 0x5655722d3b80] [error] Terminating thread with return code -28 (No space left on device)\n"
            "[out#0/mp4 @ 0x5655722d0500] [error] Nothing was written into output file, because at least one of its streams received no packets.\n"
        ),
    ),
    (
        "sysfs",
        243,
        Class.OUTPUT_REFUSED,
        "Error opening output file:/sys/kernel/o.mp4: Permission denied",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[out#0/mp4 @ 0x5606e127b500] [fatal] Error opening output file:/sys/kernel/o.mp4: Permission denied\n"
            "[error] Error opening output file file:/sys/kernel/o.mp4.\n"
            "[fatal] Error opening output files: Permission denied\n"
        ),
    ),
    (
        "longname",
        220,
        Class.OUTPUT_REFUSED,
        "Error opening output file:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.mp4: File name too long",
        (
            "[info] Input #0, lavfi, from 'testsrc2=size=128x96:rate=25:duration=0.5':\n"
            "[out#0/mp4 @ 0x562a1db5e680] [fatal] Error opening output file:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.mp4: File name too long\n"
            "[error] Error opening output file file:xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx.mp4.\n"
            "[fatal] Error opening output files: File name too long\n"
        ),
    ),
)
