"""How an encode that is not good enough is made better, purely."""

import math
from dataclasses import replace
from typing import Final

from ffrtmp.domain.media import MAX_BITS_PER_SECOND, Codec
from ffrtmp.domain.parameters import MAX_CRF
from workers.ffmpeg.pictures import PicturePlan

BEST_CRF: Final = 1
"""0 is lossless in x264 and x265, in a profile that few players have."""
_CRF_PER_ROOT: Final = 4
"""The square root of what VMAF lacks to 100 grows by a quarter with each crf: measured with x264
on Big Buck Bunny, from 97 at crf 18 to 12 at crf 51."""
_CRF_PER_DOUBLING: Final = 6
"""x264's crf is made so that the bit rate about doubles with every six."""
_MOST: Final = 4
"""The bit rate that was asked for is not multiplied by more."""


def better(picture: PicturePlan, codec: Codec, *, vmaf: float, asked: float) -> PicturePlan | None:
    """The picture at a rate that should reach the VMAF asked for; None where there is no better.

    A ceiling of the bit rate stands.
    """
    step = _CRF_PER_ROOT * (math.sqrt(100 - vmaf) - math.sqrt(100 - asked)) + 1
    if picture.bits_per_second is not None:
        bits = _more(picture, picture.bits_per_second, step)
        return None if bits <= picture.bits_per_second else replace(picture, bits_per_second=bits)
    if picture.crf is None or picture.crf <= BEST_CRF:
        return None
    scale = MAX_CRF[codec] / MAX_CRF[Codec.H264]
    return replace(picture, crf=max(BEST_CRF, picture.crf - math.ceil(step * scale)))


def rate_of(picture: PicturePlan) -> dict[str, int]:
    """The rate as parameters name it, bits per second for a bit rate."""
    if picture.bits_per_second is not None:
        return {"bitrate": picture.bits_per_second}
    return {} if picture.crf is None else {"crf": picture.crf}


def rate_text(picture: PicturePlan) -> str:
    """The rate in words: ``crf 23``, ``2500 kbit/s``."""
    if picture.bits_per_second is not None:
        return f"{picture.bits_per_second // 1000} kbit/s"
    return f"crf {picture.crf}"


def _more(picture: PicturePlan, bits: int, step: float) -> int:
    wanted = bits * min(_MOST, 2 ** (step / _CRF_PER_DOUBLING))
    ceiling = picture.max_bits_per_second or MAX_BITS_PER_SECOND
    return min(round(wanted), ceiling)
