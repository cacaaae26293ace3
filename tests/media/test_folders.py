"""Several renditions of one decode, as files and as HLS, and two passes: really made."""

from pathlib import Path
from typing import Any

import av
import pytest

from ffrtmp.domain.media import FrameSize
from tests.media.specs import FFMPEG, make_clip, plan, run
from workers.errors import UnsupportedSpec
from workers.ffmpeg.command import transcode
from workers.ffmpeg.facts import MediaFacts
from workers.ffmpeg.folders import MASTER_PLAYLIST, file_name
from workers.ffmpeg.hls import Playlist, faults
from workers.ffmpeg.passes import FIRST, SECOND, Pass
from workers.ffmpeg.plan import MIN_HLS_SECONDS, Plan
from workers.ffmpeg.probe import probe
from workers.ffmpeg.verify import differences

SECONDS = 9
LADDER = [
    {"name": "96p", "size": FrameSize(width=128, height=96), "crf": 30},
    {"name": "48p", "size": FrameSize(width=64, height=48), "crf": 30},
]


def at(*bits: int) -> list[dict[str, Any]]:
    """The ladder with these bit rates."""
    return [
        {**rung, "crf": None, "bits_per_second": bit}
        for rung, bit in zip(LADDER, bits, strict=True)
    ]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds with two tracks of sound in two languages, cut hard every 0.7 s."""
    cuts = "testsrc2=size=128x96:rate=25,hue=h='floor(t/0.7)*140':b='mod(floor(t/0.7),2)*4-2'"
    return make_clip(
        tmp_path_factory.mktemp("folders") / "two tracks.mkv",
        *("-f", "lavfi", "-i", cuts, "-f", "lavfi", "-i", "sine"),
        *("-f", "lavfi", "-i", "sine=frequency=880", "-map", "0", "-map", "1", "-map", "2"),
        *("-metadata:s:a:0", "language=eng", "-metadata:s:a:1", "language=ger"),
        *("-t", str(SECONDS), "-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"),
    )


def made(
    folder: Path, source: Path, *, logs: Path | None = None, **changes: Any
) -> tuple[Plan, dict[str, MediaFacts]]:
    """What the folder holds of each rendition, once it is as planned."""
    asked: dict[str, Any] = {
        "renditions": LADDER,
        "makes_folder": True,
        "fit": "inside",
        "may_upscale": False,
        "duration_seconds": None,
        **changes,
    }
    ladder = plan(probe(str(source)), **asked)
    folder.mkdir(exist_ok=True)
    turns: list[Pass | None] = [None]
    if logs is not None:
        turns = [Pass(number=number, folder=logs) for number in (FIRST, SECOND)]
    for turn in turns:
        argv = transcode(
            ladder,
            ffmpeg=FFMPEG,
            source=str(source),
            destination=folder,
            threads=1,
            turn=turn,
        )
        end, log = run(argv, working_directory=folder)
        assert end.exit_code == 0, log
    return ladder, {
        picture.name: probe(
            str(folder / file_name(ladder, picture)),
            count_frames=True,
            is_own_playlist=ladder.is_hls,
        )
        for picture in ladder.pictures
    }


def key_times(path: Path) -> list[float]:
    """When a file's key frames are shown."""
    with av.open(str(path)) as media:
        return [
            float(packet.pts * packet.time_base)
            for packet in media.demux(video=0)
            if packet.is_keyframe and packet.pts is not None and packet.time_base is not None
        ]


@pytest.mark.parametrize(
    ("codec", "container"), [("h264", "mp4"), ("hevc", "mkv"), ("av1", "mp4"), ("vp9", "webm")]
)
def test_every_rendition_is_a_file_as_planned(
    tmp_path: Path, source: Path, codec: str, container: str
) -> None:
    ladder, found = made(tmp_path / "out", source, codec=codec, container=container)

    for picture in ladder.pictures:
        assert differences(ladder, picture, found[picture.name]) == []
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        f"48p.{container}",
        f"96p.{container}",
    ]


@pytest.mark.parametrize("fps", [None, "30000/1001"])
@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_renditions_have_their_key_frames_at_the_same_times(
    tmp_path: Path, source: Path, codec: str, fps: str | None
) -> None:
    rungs = [{**rung, "fps": fps} for rung in LADDER]
    ladder, _ = made(tmp_path / "out", source, codec=codec, renditions=rungs)
    large, small = (key_times(tmp_path / "out" / file_name(ladder, it)) for it in ladder.pictures)

    assert large == small
    for wanted in (0, 2, 4, 6, 8):
        assert any(abs(time - wanted) < 0.05 for time in large)


@pytest.mark.parametrize("codec", ["h264", "hevc", "av1"])
def test_hls_has_aligned_segments_and_sound_of_its_own(
    tmp_path: Path, source: Path, codec: str
) -> None:
    folder = tmp_path / "a, folder: 100%d"
    ladder, found = made(folder, source, codec=codec, output_mode="hls")
    heard = probe(str(folder / MASTER_PLAYLIST), is_own_playlist=True).audio
    files = {
        str(path.relative_to(folder)): path.stat().st_size
        for path in folder.rglob("*")
        if path.is_file()
    }
    texts = {name: (folder / name).read_text() for name in files if name.endswith(".m3u8")}

    assert list(faults(ladder, texts, files)) == []
    assert [track.language for track in heard] == ["eng", "ger"]
    assert {name: facts.video.frames for name, facts in found.items()} == {
        "96p": SECONDS * 25,
        "48p": SECONDS * 25,
    }
    assert Playlist.parse(texts["96p/index.m3u8"]).seconds == pytest.approx((4, 4, 1), abs=0.01)
    assert 'CODECS="' in texts[MASTER_PLAYLIST]


def test_shortest_hls_can_be_played(tmp_path: Path, source: Path) -> None:
    folder = tmp_path / "out"
    ladder, _ = made(folder, source, output_mode="hls", duration_seconds=MIN_HLS_SECONDS)

    assert [name for name in ("96p", "48p") if name in (folder / MASTER_PLAYLIST).read_text()] == [
        picture.name for picture in ladder.pictures
    ]


def test_shorter_hls_is_refused(tmp_path: Path, source: Path) -> None:
    with pytest.raises(UnsupportedSpec, match="at least"):
        made(tmp_path / "out", source, output_mode="hls", duration_seconds=MIN_HLS_SECONDS - 0.1)


def test_language_that_would_be_an_option_stays_out_of_the_playlists(tmp_path: Path) -> None:
    source = make_clip(
        tmp_path / "odd.mkv",
        *("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25", "-f", "lavfi", "-i", "sine"),
        *("-metadata:s:a:0", "language=x,name:../../escaped", "-t", "0.6"),
    )

    made(tmp_path / "out", source, output_mode="hls")

    assert [path.name for path in tmp_path.iterdir() if "escaped" in path.name] == []
    assert "escaped" not in (tmp_path / "out" / MASTER_PLAYLIST).read_text()


@pytest.mark.parametrize(
    ("codec", "mode"),
    [("h264", "file"), ("h264", "hls"), ("hevc", "file"), ("hevc", "hls"), ("vp9", "file")],
)
def test_two_passes_meet_the_bit_rate_of_each_rendition(
    tmp_path: Path, source: Path, codec: str, mode: str
) -> None:
    logs = tmp_path / "it's: a\\folder"
    logs.mkdir()
    ladder, found = made(
        *(tmp_path / "out", source),
        codec=codec,
        output_mode=mode,
        renditions=at(150_000, 60_000),
        is_two_pass=True,
        logs=logs,
        audio="none",
        preset="veryfast",
    )

    assert any(logs.iterdir())
    for picture in ladder.pictures:
        assert differences(ladder, picture, found[picture.name]) == []
        size = _bytes_of(tmp_path / "out", file_name(ladder, picture))
        assert size * 8 / SECONDS == pytest.approx(picture.bits_per_second, rel=0.35)


def _bytes_of(folder: Path, name: str) -> int:
    place = folder / name
    files = [place] if place.suffix != ".m3u8" else list(place.parent.glob("*.m4s"))
    return sum(file.stat().st_size for file in files)


def test_ladder_of_uneven_frames_keeps_every_frame_in_every_rendition(tmp_path: Path) -> None:
    uneven = make_clip(
        tmp_path / "uneven.mkv",
        *("-f", "lavfi", "-i", "testsrc2=size=128x96:rate=25", "-t", "1"),
        *("-vf", "setpts='(N*N*0.002+N*0.01)/TB'", "-fps_mode", "passthrough"),
        *("-enc_time_base", "1/1000", "-c:v", "libx264", "-preset", "ultrafast"),
    )
    counted = probe(str(uneven), count_frames=True).video.frames

    _, found = made(tmp_path / "out", uneven, output_mode="hls")

    assert {facts.video.frames for facts in found.values()} == {counted}
