"""What each video encoder is told: speed, quality or bit rate, latency, key frames; purely.

Quality is asked as ``crf``, on the scale of the software encoder: 0 to 51 for H.264 and HEVC,
0 to 63 for AV1 and VP9. Hardware has no constant rate factor; its nearest mode is constant
quality where there is one, else a constant quantizer. Both use the codec's quantizer scale, on
which crf is modelled, so equal numbers look nearly equal.
"""

from fractions import Fraction
from typing import Final

from ffrtmp.domain.media import Codec, Container, Hardware, Preset
from workers.ffmpeg.passes import Pass
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.target import Target, encoder_name, encoder_options

UNKNOWN_RATE_GOP_FRAMES: Final = 600
"""Where the frame rate is the source's: longer than any GOP that time is going to end."""

_ALL: Final = frozenset(Codec)
_CODECS: Final = {
    Hardware.CPU: _ALL,
    Hardware.NVENC: _ALL - {Codec.VP9},
    Hardware.QSV: _ALL,
    Hardware.VAAPI: _ALL,
}
_SVT_PRESETS: Final = {
    Preset.ULTRAFAST: 12,
    Preset.VERYFAST: 10,
    Preset.FAST: 8,
    Preset.MEDIUM: 6,
    Preset.SLOW: 4,
}
# libvpx: cpu-used for deadline good (0 to 5) and for deadline realtime (5 to 8)
_VP9_SPEEDS: Final = {
    Preset.ULTRAFAST: 5,
    Preset.VERYFAST: 5,
    Preset.FAST: 4,
    Preset.MEDIUM: 2,
    Preset.SLOW: 1,
}
_VP9_REALTIME_SPEEDS: Final = {
    Preset.ULTRAFAST: 8,
    Preset.VERYFAST: 8,
    Preset.FAST: 7,
    Preset.MEDIUM: 6,
    Preset.SLOW: 5,
}
# p1 (fastest) to p7; p4 is NVENC's own default, p7 gains little over p6 for much time
_NVENC_PRESETS: Final = {
    Preset.ULTRAFAST: "p1",
    Preset.VERYFAST: "p2",
    Preset.FAST: "p3",
    Preset.MEDIUM: "p4",
    Preset.SLOW: "p6",
}
# QSV's target usage 7 (fastest) to 1 under x264's names; it has no ultrafast
_QSV_PRESETS: Final = {
    Preset.ULTRAFAST: "veryfast",
    Preset.VERYFAST: "faster",
    Preset.FAST: "fast",
    Preset.MEDIUM: "medium",
    Preset.SLOW: "slow",
}
_BEST: Final = 1
"""0 means "not given" to every hardware encoder of ffmpeg."""
_NVENC_WORST: Final = 51
"""ffmpeg's range of ``-cq`` is 0 to 51; only newer versions take AV1's whole 0 to 63."""
_ICQ_SCALE: Final = Fraction(51, 63)
"""ffmpeg clips QSV's ICQ to 1 to 51 for every codec; crf of AV1 and VP9 ends at 63."""
_INDEX_PER_CRF: Final = 4
"""libvpx and SVT-AV1 turn crf 0 to 63 into a quantizer index of four times that (255 at 63);
VAAPI takes the index itself."""
_WORST_INDEX: Final = 255
_QVBR_SHARE: Final = Fraction(3, 4)
"""Of the ceiling: QSV and VAAPI take one for QVBR only where the bit rate they aim at is lower."""


def has_encoder(target: Target, codec: Codec) -> bool:
    """True where ffmpeg has an encoder of that kind; whether the device can is another matter."""
    return codec in _CODECS.get(target.hardware, ())


def video_encoder(
    plan: Plan,
    picture: PicturePlan,
    *,
    target: Target,
    threads: int | None,
    turn: Pass | None = None,
) -> tuple[str, ...]:
    """All options of the video encoder, each with one value; ``has_encoder`` must be true."""
    gop = plan.gop_seconds
    keys = () if gop is None else _key_frames(plan.codec, picture.fps, target.hardware, gop)
    return (
        *("-c:v", encoder_name(target, plan.codec), *encoder_options(target)),
        *_speed_and_rate(plan, picture, target.hardware, threads, turn),
        *(() if turn is None else turn.options(plan.codec, picture.name)),
        *keys,
        *(("-tag:v", "hvc1") if _needs_tag(plan) else ()),
    )


def _speed_and_rate(
    plan: Plan,
    picture: PicturePlan,
    hardware: Hardware,
    threads: int | None,
    turn: Pass | None,
) -> tuple[str, ...]:
    match hardware:
        case Hardware.NVENC:
            return (*_nvenc(plan), *_nvenc_rate(plan, picture))
        case Hardware.QSV:
            return (*_qsv(plan), *_qsv_rate(plan, picture))
        case Hardware.VAAPI:
            return (*_vaapi(plan), *_vaapi_rate(plan, picture))
        case _:
            software = _software(plan, picture, threads, turn)
            return (*software, *_software_rate(plan, picture))


def _needs_tag(plan: Plan) -> bool:
    """Apple's players refuse HEVC in MP4 under ffmpeg's own tag, hev1."""
    return plan.codec is Codec.HEVC and plan.container is Container.MP4


def _software(
    plan: Plan, picture: PicturePlan, threads: int | None, turn: Pass | None
) -> tuple[str, ...]:
    match plan.codec:
        case Codec.H264:
            tune = ("-tune", "zerolatency") if plan.is_low_latency else ()
            return ("-preset", plan.preset.value, *tune)
        case Codec.HEVC:
            return _x265(plan, threads, () if turn is None else turn.x265_parameters(picture.name))
        case Codec.AV1:
            return _svt_av1(plan, picture)
        case Codec.VP9:
            return _vp9(plan)


def _x265(plan: Plan, threads: int | None, statistics: tuple[str, ...]) -> tuple[str, ...]:
    quiet = ["log-level=error"]
    pools = [f"pools={threads}"] if threads is not None else []
    closed = ["open-gop=0", "scenecut=0"] if plan.gop_seconds is not None else []
    return (
        *("-preset", plan.preset.value),
        *(("-tune", "zerolatency") if plan.is_low_latency else ()),
        *("-x265-params", ":".join((*quiet, *pools, *closed, *statistics))),
    )


def _svt_av1(plan: Plan, picture: PicturePlan) -> tuple[str, ...]:
    # pred-struct=1 is SVT-AV1's low delay; constant bit rate works only with it
    low_delay = ["pred-struct=1", "scd=0"] if plan.is_low_latency else []
    # ffmpeg takes its own -crf 0 for one that was not given
    best = ["crf=0"] if picture.crf == 0 else []
    parameters = ":".join(low_delay + best)
    return (
        *("-preset", str(_SVT_PRESETS[plan.preset])),
        *(("-svtav1-params", parameters) if parameters else ()),
    )


def _vp9(plan: Plan) -> tuple[str, ...]:
    if not plan.is_low_latency:
        speed = str(_VP9_SPEEDS[plan.preset])
        return ("-deadline", "good", "-cpu-used", speed, "-row-mt", "1")
    speed = str(_VP9_REALTIME_SPEEDS[plan.preset])
    latency = ("-deadline", "realtime", "-lag-in-frames", "0")
    return (*latency, "-cpu-used", speed, "-row-mt", "1")


def _software_rate(plan: Plan, picture: PicturePlan) -> tuple[str, ...]:
    if picture.bits_per_second is None:
        if picture.crf is None:
            return ()
        ceiling = picture.max_bits_per_second
        # libvpx takes a bit rate beside crf for the ceiling, and has none only where it is 0
        bound = ("-b:v", str(ceiling or 0)) if plan.codec is Codec.VP9 else ()
        return ("-crf", str(picture.crf), *bound, *_ceiling(ceiling))
    return _bit_rate(plan, picture, picture.bits_per_second)


def _bit_rate(plan: Plan, picture: PicturePlan, bits: int) -> tuple[str, ...]:
    ceiling = picture.max_bits_per_second
    if ceiling is None and plan.is_low_latency:
        ceiling = bits
    return ("-b:v", str(bits), *_ceiling(ceiling))


def _ceiling(bits: int | None) -> tuple[str, ...]:
    """The most that comes out over a buffer of two seconds."""
    return () if bits is None else ("-maxrate", str(bits), "-bufsize", str(2 * bits))


def _nvenc(plan: Plan) -> tuple[str, ...]:
    preset = ("-preset", _NVENC_PRESETS[plan.preset])
    if not plan.is_low_latency:
        return preset
    # a forced key frame that is not an IDR frame is no place for a player to join
    latency = ("-tune", "ll", "-zerolatency", "1", "-delay", "0", "-bf", "0")
    return (*preset, *latency, "-forced-idr", "1")


def _nvenc_rate(plan: Plan, picture: PicturePlan) -> tuple[str, ...]:
    if picture.bits_per_second is not None:
        mode = "cbr" if plan.is_low_latency else "vbr"
        return ("-rc", mode, *_bit_rate(plan, picture, picture.bits_per_second))
    if picture.crf is None:
        return ()
    # without -b:v 0 ffmpeg's default of 2 Mbit/s would bound the quality
    quality = max(_BEST, min(_NVENC_WORST, picture.crf))
    return ("-rc", "vbr", "-cq", str(quality), "-b:v", "0", *_ceiling(picture.max_bits_per_second))


def _qsv(plan: Plan) -> tuple[str, ...]:
    latency = ("-async_depth", "1", "-bf", "0", "-forced_idr", "1") if plan.is_low_latency else ()
    return ("-preset", _QSV_PRESETS[plan.preset], *latency)


def _qsv_rate(plan: Plan, picture: PicturePlan) -> tuple[str, ...]:
    """Modes follow from the numbers: ICQ from a quality, QVBR from a quality with a bit rate and
    a ceiling, CBR where those two agree."""
    if picture.bits_per_second is not None:
        return _bit_rate(plan, picture, picture.bits_per_second)
    if picture.crf is None:
        return ()
    scale = _ICQ_SCALE if plan.codec in (Codec.AV1, Codec.VP9) else 1
    quality = ("-global_quality", str(max(_BEST, round(picture.crf * scale))))
    ceiling = picture.max_bits_per_second
    if ceiling is None:
        return quality
    return (*quality, "-b:v", str(round(ceiling * _QVBR_SHARE)), *_ceiling(ceiling))


def _vaapi(plan: Plan) -> tuple[str, ...]:
    """No preset: levels of compression are the driver's own, and Intel's best is AMD's fastest."""
    return ("-async_depth", "1", "-bf", "0") if plan.is_low_latency else ()


def _vaapi_rate(plan: Plan, picture: PicturePlan) -> tuple[str, ...]:
    if picture.bits_per_second is not None:
        mode = "CBR" if plan.is_low_latency else "VBR"
        return ("-rc_mode", mode, *_bit_rate(plan, picture, picture.bits_per_second))
    if picture.crf is None:
        return ()
    ceiling = picture.max_bits_per_second
    index = max(_BEST, picture.crf)
    if plan.codec in (Codec.AV1, Codec.VP9):
        index = max(_BEST, min(_WORST_INDEX, _INDEX_PER_CRF * picture.crf))
    if ceiling is not None:
        target = ("-b:v", str(round(ceiling * _QVBR_SHARE)), *_ceiling(ceiling))
        return ("-rc_mode", "QVBR", "-global_quality", str(index), *target)
    if plan.codec in (Codec.AV1, Codec.VP9):  # they have no -qp
        return ("-rc_mode", "CQP", "-global_quality", str(index))
    return ("-rc_mode", "CQP", "-qp", str(index))


def _key_frames(
    codec: Codec, fps: Fraction | None, hardware: Hardware, gop_seconds: int
) -> tuple[str, ...]:
    if fps is None:  # the source's rate is not known here: go by time
        every = f"expr:gte(t,n_forced*{gop_seconds})"
        frames = str(UNKNOWN_RATE_GOP_FRAMES)
        return ("-g", frames, "-force_key_frames", every, "-flags", "+cgop")
    frames = str(round(fps * gop_seconds))
    if hardware is not Hardware.CPU:  # no scene cuts without a look-ahead
        return ("-g", frames, "-flags", "+cgop")
    scene_cuts = ("-sc_threshold", "0") if codec is Codec.H264 else ()
    return ("-g", frames, "-keyint_min", frames, *scene_cuts, "-flags", "+cgop")
