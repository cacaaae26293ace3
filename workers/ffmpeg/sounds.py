"""Which tracks of sound and subtitles come out of a source, and as what, purely."""

from dataclasses import dataclass
from typing import Final

from ffrtmp.domain.media import Audio, Channels, Container, OutputMode, Subtitles
from ffrtmp.domain.spec import JobSpec
from workers.errors import UnsupportedSpec
from workers.ffmpeg.facts import AudioFacts, MediaFacts, SubtitleFacts

MAX_CHANNELS: Final = 6
OPUS_RATE: Final = 48_000
TEST_RATE: Final = 48_000
_AAC_RATES: Final = (
    *(8_000, 11_025, 12_000, 16_000, 22_050, 24_000),
    *(32_000, 44_100, 48_000, 64_000, 88_200, 96_000),
)
_FLV_RATES: Final = (11_025, 22_050, 44_100, 48_000)
_HELD: Final = {
    Container.MKV: frozenset(
        ("ass", "dvb_subtitle", "dvd_subtitle", "hdmv_pgs_subtitle", "ssa", "subrip", "webvtt")
    ),
    Container.WEBM: frozenset(("webvtt",)),
    Container.MP4: frozenset(("mov_text",)),
}
_WRITTEN_AS: Final = {
    Container.MKV: "subrip",
    Container.WEBM: "webvtt",
    Container.MP4: "mov_text",
}
_CHANNELS: Final = {Channels.MONO: 1, Channels.STEREO: 2}


@dataclass(frozen=True, slots=True, kw_only=True)
class SoundPlan:
    """One track; ``source_track`` counts the source's sound from 0.

    A copied track (``codec`` copy) keeps all that it is. ``bits_per_second`` None is the encoder's
    own for the number of channels.
    """

    source_track: int
    codec: Audio
    channels: int
    sample_rate: int
    bits_per_second: int | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SubtitlePlan:
    """One track of subtitles; ``codec`` is ffmpeg's name of the encoder, or ``copy``."""

    source_track: int
    codec: str
    language: str | None = None


def plan_sounds(spec: JobSpec, source: MediaFacts | None) -> tuple[SoundPlan, ...]:
    """The tracks that come out; UnsupportedSpec names one that the source does not have."""
    if spec.sound.codec is Audio.NONE:
        return ()
    if source is None:
        tone = AudioFacts(codec="pcm_s16le", channels=1, sample_rate=TEST_RATE, end_seconds=None)
        return (_sound(spec, 0, tone, is_copy=False),)
    is_copy = spec.sound.codec is Audio.COPY
    return tuple(
        _sound(spec, number, source.audio[number], is_copy=is_copy)
        for number in _chosen(spec, source)
    )


def audio_codec(audio: Audio, container: Container) -> Audio:
    """The codec of re-encoded sound; ``auto``, and ``copy`` of a test tone, suit the container."""
    if audio in (Audio.AAC, Audio.OPUS):
        return audio
    return Audio.OPUS if container is Container.WEBM else Audio.AAC


def plan_subtitles(
    spec: JobSpec, source: MediaFacts | None
) -> tuple[tuple[SubtitlePlan, ...], tuple[str, ...]]:
    """The tracks that come out, and in words those that the container cannot hold."""
    if source is None or spec.subtitles is Subtitles.NONE:
        return (), ()
    kept, left_out = [], []
    for number, track in enumerate(source.subtitles):
        codec = _subtitle_codec(spec, track)
        if codec is None:
            where = spec.output_mode if spec.output_mode is not OutputMode.FILE else spec.container
            left_out.append(f"subtitles {number + 1} ({track.codec}): {where} cannot hold them")
        else:
            kept.append(SubtitlePlan(source_track=number, codec=codec, language=track.language))
    return tuple(kept), tuple(left_out)


def _chosen(spec: JobSpec, source: MediaFacts) -> tuple[int, ...]:
    there = range(len(source.audio))
    if spec.sound.tracks is None:
        return tuple(there)[:1] if spec.is_stream else tuple(there)
    for number in spec.sound.tracks:
        if number - 1 not in there:
            raise UnsupportedSpec(
                f"audio_tracks names track {number}, and the input has {len(there)}"
            )
    return tuple(number - 1 for number in spec.sound.tracks)


def _sound(spec: JobSpec, number: int, track: AudioFacts, *, is_copy: bool) -> SoundPlan:
    if is_copy:
        return SoundPlan(
            source_track=number,
            codec=Audio.COPY,
            channels=track.channels,
            sample_rate=track.sample_rate,
            language=track.language,
        )
    codec = audio_codec(spec.sound.codec, spec.container)
    asked = _CHANNELS.get(spec.sound.channels, min(MAX_CHANNELS, track.channels))
    return SoundPlan(
        source_track=number,
        codec=codec,
        channels=min(2, asked) if spec.is_stream else asked,
        sample_rate=_rate(codec, track.sample_rate, is_stream=spec.is_stream),
        bits_per_second=spec.sound.bits_per_second,
        language=track.language,
    )


def _rate(codec: Audio, rate: int, *, is_stream: bool) -> int:
    if codec is Audio.OPUS:
        return OPUS_RATE
    if is_stream:
        return rate if rate in _FLV_RATES else 48_000
    if rate in _AAC_RATES:
        return rate
    return min(_AAC_RATES, key=lambda possible: (abs(possible - rate), -possible))


def _subtitle_codec(spec: JobSpec, track: SubtitleFacts) -> str | None:
    if spec.output_mode is not OutputMode.FILE or spec.makes_folder:
        return None
    if track.codec in _HELD[spec.container]:
        return "copy"
    return _WRITTEN_AS[spec.container] if track.is_text else None
