"""What a player could not follow is said of an HLS folder before it is published."""

from collections.abc import Callable

import pytest

from ffrtmp.domain.media import FrameSize
from tests.media.specs import SOURCE, plan
from workers.ffmpeg.folders import MASTER_PLAYLIST
from workers.ffmpeg.hls import faults

LADDER = [
    {"name": "96p", "size": FrameSize(width=128, height=96), "crf": 30},
    {"name": "48p", "size": FrameSize(width=64, height=48), "crf": 30},
]
MEDIA = """#EXTM3U
#EXT-X-MAP:URI="init.mp4"
#EXTINF:4.000000,
segment_00000.m4s
#EXTINF:1.500000,
segment_00001.m4s
#EXT-X-ENDLIST
"""
Texts = dict[str, str]
Files = dict[str, int]


def folder() -> tuple[Texts, Files]:
    """A folder without a fault."""
    names = ("96p", "48p", "audio-1")
    texts = {f"{name}/index.m3u8": MEDIA for name in names}
    texts[MASTER_PLAYLIST] = "#EXTM3U\n" + "".join(f"{name}/index.m3u8\n" for name in names)
    held = ("init.mp4", "segment_00000.m4s", "segment_00001.m4s")
    return texts, {f"{name}/{file}": 100 for name in names for file in held}


def said(texts: Texts, files: Files) -> list[str]:
    """The faults of a folder for a ladder of two with one track of sound."""
    ladder = plan(SOURCE, renditions=LADDER, makes_folder=True, output_mode="hls")
    return list(faults(ladder, texts, files))


def test_whole_folder_has_no_fault() -> None:
    assert said(*folder()) == []


def drop_playlist(texts: Texts, _files: Files) -> None:
    del texts["48p/index.m3u8"]


def drop_from_master(texts: Texts, _files: Files) -> None:
    texts[MASTER_PLAYLIST] = texts[MASTER_PLAYLIST].replace("audio-1/index.m3u8\n", "")


def drop_master(texts: Texts, _files: Files) -> None:
    del texts[MASTER_PLAYLIST]


def drop_segment(_texts: Texts, files: Files) -> None:
    del files["96p/segment_00001.m4s"]


def empty_segment(_texts: Texts, files: Files) -> None:
    files["96p/segment_00001.m4s"] = 0


def drop_initial(_texts: Texts, files: Files) -> None:
    del files["audio-1/init.mp4"]


def drop_end(texts: Texts, _files: Files) -> None:
    texts["96p/index.m3u8"] = MEDIA.replace("#EXT-X-ENDLIST\n", "")


def shift_segment(texts: Texts, _files: Files) -> None:
    texts["48p/index.m3u8"] = MEDIA.replace("4.000000", "4.040000")


def drop_entry(texts: Texts, _files: Files) -> None:
    texts["48p/index.m3u8"] = MEDIA.replace("#EXTINF:1.500000,\nsegment_00001.m4s\n", "")


def no_segments(texts: Texts, _files: Files) -> None:
    texts["audio-1/index.m3u8"] = "#EXTM3U\n#EXT-X-ENDLIST\n"


@pytest.mark.parametrize(
    ("damage", "named"),
    [
        (drop_playlist, "48p/index.m3u8 is missing"),
        (drop_from_master, "master.m3u8 does not name audio-1/index.m3u8"),
        (drop_master, "master.m3u8 does not name 96p/index.m3u8"),
        (drop_segment, "96p/index.m3u8 names segment_00001.m4s, which is not there"),
        (empty_segment, "96p/index.m3u8 names segment_00001.m4s, which is not there"),
        (drop_initial, "audio-1/index.m3u8 names init.mp4, which is not there"),
        (drop_end, "96p/index.m3u8 has no end"),
        (shift_segment, "segments of 48p/index.m3u8 do not end where those of 96p/index.m3u8 do"),
        (drop_entry, "segments of 48p/index.m3u8 do not end where those of 96p/index.m3u8 do"),
        (no_segments, "audio-1/index.m3u8 has 0 segments of 0 announced"),
    ],
)
def test_damage_is_named(damage: Callable[[Texts, Files], None], named: str) -> None:
    texts, files = folder()
    damage(texts, files)

    assert named in said(texts, files)
