"""The outputs of a job that makes several files of one decode, in a folder, purely.

All names are relative to that folder, within which ffmpeg runs.
"""

import re
from collections.abc import Iterator
from typing import Final

from workers.ffmpeg.arguments import file_format, main_video, nowhere, of_everything, share, timing
from workers.ffmpeg.filters import picture_filters
from workers.ffmpeg.mapping import sound_options
from workers.ffmpeg.passes import FIRST, Pass
from workers.ffmpeg.pictures import PicturePlan
from workers.ffmpeg.plan import Plan
from workers.ffmpeg.target import Target
from workers.ffmpeg.video_encoders import video_encoder

MASTER_PLAYLIST: Final = "master.m3u8"
PLAYLIST: Final = "index.m3u8"
SEGMENT_SECONDS: Final = 4
"""Two groups of pictures."""
_GROUP: Final = "audio"
_IN_VARIANT: Final = re.compile(r"[a-z0-9_-]+/(index\.m3u8|init(_\d+)?\.mp4|segment_\d+\.m4s)")
_PLAIN_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*")


def file_name(plan: Plan, picture: PicturePlan) -> str:
    """Where one picture lies: ``720p.mp4``, or of HLS ``720p/index.m3u8``."""
    return f"{picture.name}/{PLAYLIST}" if plan.is_hls else f"{picture.name}.{plan.container}"


def is_of_hls(name: str) -> bool:
    """Whether a file of an HLS folder may have this relative name."""
    return name == MASTER_PLAYLIST or _IN_VARIANT.fullmatch(name) is not None


def sound_names(plan: Plan) -> tuple[str, ...]:
    """The folders of HLS sound: no rendition has such a name."""
    return tuple(f"{_GROUP}-{number}" for number in range(1, len(plan.sounds) + 1))


def folder(
    plan: Plan, *, target: Target, threads: int | None, turn: Pass | None
) -> tuple[str, ...]:
    """All outputs, behind the inputs."""
    graph = ("-filter_complex", _graph(plan, target))
    outputs = _hls if plan.is_hls else _files
    return (*graph, *outputs(plan, target, threads, turn))


def _graph(plan: Plan, target: Target) -> str:
    """The decoded picture, once for each rendition, each through filters of its own."""
    numbered = list(enumerate(plan.pictures))
    copies = "".join(f"[s{number}]" for number, _ in numbered)
    chains = [
        f"[s{number}]{picture_filters(plan, picture, target)}[v{number}]"
        for number, picture in numbered
    ]
    return ";".join((f"[{main_video(plan)}]split={len(numbered)}{copies}", *chains))


def _files(plan: Plan, target: Target, threads: int | None, turn: Pass | None) -> tuple[str, ...]:
    return tuple(
        option
        for number, picture in enumerate(plan.pictures)
        for option in (
            *("-map", f"[v{number}]"),
            *video_encoder(plan, picture, target=target, threads=threads, turn=turn),
            *timing(plan, picture),
            *sound_options(plan),
            *("-sn", *of_everything(plan), *share(threads)),
            *_end(turn, (*file_format(plan.container), f"file:{file_name(plan, picture)}")),
        )
    )


def _hls(plan: Plan, target: Target, threads: int | None, turn: Pass | None) -> tuple[str, ...]:
    videos = (
        option
        for number, picture in enumerate(plan.pictures)
        for option in (
            *("-map", f"[v{number}]"),
            *_of_stream(
                number,
                (
                    *video_encoder(plan, picture, target=target, threads=threads, turn=turn),
                    *share(threads),
                ),
            ),
            *timing(plan, picture, f"v:{number}"),
        )
    )
    return (
        *videos,
        *sound_options(plan),
        *("-sn", *of_everything(plan), "-map_chapters", "-1"),
        *_end(turn, _playlists(plan)),
    )


def _of_stream(number: int, options: tuple[str, ...]) -> Iterator[str]:
    """The same options, for one of an output's videos alone."""
    for option, value in zip(options[::2], options[1::2], strict=True):
        yield f"{option.removesuffix(':v')}:v:{number}"
        yield value


def _playlists(plan: Plan) -> tuple[str, ...]:
    return (
        *("-f", "hls", "-hls_time", str(SEGMENT_SECONDS), "-hls_playlist_type", "vod"),
        *("-hls_segment_type", "fmp4", "-hls_flags", "independent_segments"),
        *("-hls_fmp4_init_filename", "init.mp4", "-hls_segment_filename", "%v/segment_%05d.m4s"),
        *("-master_pl_name", MASTER_PLAYLIST, "-var_stream_map", _variants(plan)),
        f"%v/{PLAYLIST}",
    )


def _variants(plan: Plan) -> str:
    group = f",agroup:{_GROUP}" if plan.sounds else ""
    pictures = [
        f"v:{number}{group},name:{picture.name}" for number, picture in enumerate(plan.pictures)
    ]
    sounds = [
        f"a:{number}{group},name:{name}"
        + _language(sound.language)
        + (",default:yes" if number == 0 else "")
        for number, (name, sound) in enumerate(zip(sound_names(plan), plan.sounds, strict=True))
    ]
    return " ".join((*pictures, *sounds))


def _language(said: str | None) -> str:
    """The file's own words stand in an option here: only what cannot mean anything else does."""
    is_plain = said is not None and _PLAIN_LANGUAGE.fullmatch(said) is not None
    return f",language:{said}" if is_plain else ""


def _end(turn: Pass | None, place: tuple[str, ...]) -> tuple[str, ...]:
    return nowhere() if turn is not None and turn.number == FIRST else place
