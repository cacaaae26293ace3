"""Which tracks of sound and subtitles an output has, and how they are encoded, purely."""

from typing import Final

from ffrtmp.domain.media import Audio
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.sounds import SoundPlan, SubtitlePlan

_AUDIO_ENCODERS: Final = {Audio.AAC: "aac", Audio.OPUS: "libopus"}
_CONTINUOUS: Final = "aresample=async=1"
"""Silence where the source has a gap: players disagree on what a gap is."""


def sound_options(plan: Plan) -> tuple[str, ...]:
    """The options of all tracks of sound, or that there are none."""
    if not plan.sounds:
        return ("-an",)
    given = 1 if plan.is_synthetic else 0
    return tuple(
        option
        for number, sound in enumerate(plan.sounds)
        for option in _sound(number, sound, f"{given}:a:{sound.source_track}")
    )


def subtitle_options(plan: Plan) -> tuple[str, ...]:
    """The options of all tracks of subtitles, or that there are none."""
    if not plan.subtitles:
        return ("-sn",)
    return tuple(
        option for number, track in enumerate(plan.subtitles) for option in _subtitle(number, track)
    )


def _sound(number: int, sound: SoundPlan, place: str) -> tuple[str, ...]:
    if sound.codec is Audio.COPY:
        return ("-map", place, f"-c:a:{number}", "copy")
    bits = sound.bits_per_second
    return (
        *("-map", place, f"-c:a:{number}", _AUDIO_ENCODERS[sound.codec]),
        *(f"-filter:a:{number}", _CONTINUOUS),
        *(f"-ac:a:{number}", str(sound.channels), f"-ar:a:{number}", str(sound.sample_rate)),
        *(() if bits is None else (f"-b:a:{number}", str(bits))),
    )


def _subtitle(number: int, track: SubtitlePlan) -> tuple[str, ...]:
    return ("-map", f"0:s:{track.source_track}", f"-c:s:{number}", track.codec)
