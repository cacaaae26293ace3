"""Makes the samples that agents try decoders with anew: ``python -m tests.gpus.make_samples``."""

from typing import Final

from tests.media.specs import make_clip
from workers.ffmpeg.target import Coded
from workers.hardware.decoders import KINDS, sample

_ENCODERS: Final = {
    "h264": ("-c:v", "libx264", "-preset", "medium"),
    "hevc": ("-c:v", "libx265", "-preset", "medium", "-x265-params", "log-level=error"),
    "av1": ("-c:v", "libsvtav1", "-preset", "6"),
    "vp9": ("-c:v", "libvpx-vp9", "-crf", "40", "-b:v", "0"),
    "mpeg2video": ("-c:v", "mpeg2video", "-q:v", "8"),
}
_PICTURE: Final = ("-f", "lavfi", "-i", "testsrc=size=256x192:rate=30", "-frames:v", "5")


def make(coded: Coded) -> None:
    """Write the sample of one kind into its place."""
    pixels = "yuv420p" if coded.bit_depth == 8 else "yuv420p10le"
    exact = ("-fflags", "+bitexact", "-flags:v", "+bitexact", "-map_metadata", "-1")
    make_clip(sample(coded), *_PICTURE, "-pix_fmt", pixels, *_ENCODERS[coded.codec], *exact)


if __name__ == "__main__":
    for kind in KINDS:
        make(kind)
