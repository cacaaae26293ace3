"""Several renditions of what one GPU decodes, each scaled and encoded there."""

from pathlib import Path

import pytest

from ffrtmp.domain.media import FrameSize, Hardware
from tests.gpus.standin import hardware_runs, write_standin
from tests.media.specs import make_clip, plan, run
from workers.ffmpeg.command import transcode
from workers.ffmpeg.folders import file_name
from workers.ffmpeg.probe import probe
from workers.ffmpeg.target import Coded, Target
from workers.ffmpeg.verify import differences

H264 = Coded(codec="h264", bit_depth=8)
LADDER = [
    {"name": "144p", "size": FrameSize(width=192, height=144), "crf": 30},
    {"name": "120p", "size": FrameSize(width=160, height=120), "crf": 30},
]


@pytest.mark.parametrize("is_hls", [False, True], ids=["files", "hls"])
@pytest.mark.parametrize(
    ("hardware", "address"),
    [
        (Hardware.NVENC, "0"),
        (Hardware.QSV, "/dev/dri/renderD128"),
        (Hardware.VAAPI, "/dev/dri/renderD128"),
    ],
)
def test_ladder_of_one_decode_never_leaves_the_gpu(
    tmp_path: Path, hardware: Hardware, address: str, is_hls: bool
) -> None:
    ffmpeg = write_standin(tmp_path / "gpus", behaviour={hardware.value: {address: "works"}})
    clip = make_clip(
        tmp_path / "in.mkv",
        *("-f", "lavfi", "-i", "testsrc2=size=320x240:rate=25:duration=0.6"),
        *("-pix_fmt", "yuv420p", "-c:v", "libx264", "-preset", "ultrafast"),
    )
    ladder = plan(
        probe(str(clip)),
        renditions=LADDER,
        makes_folder=True,
        fit="inside",
        audio="none",
        output_mode="hls" if is_hls else "file",
    )
    folder = tmp_path / "out"
    folder.mkdir()

    end, log = run(
        transcode(
            ladder,
            ffmpeg=ffmpeg,
            source=str(clip),
            destination=folder,
            threads=1,
            target=Target(hardware=hardware, address=address, decodes=frozenset({H264})),
        ),
        working_directory=folder,
    )

    assert end.exit_code == 0, log
    (ran,) = hardware_runs(tmp_path / "gpus")
    assert {"-hwaccel", "-filter_complex"} <= set(ran.argv)
    for picture in ladder.pictures:
        facts = probe(
            str(folder / file_name(ladder, picture)),
            count_frames=True,
            is_own_playlist=ladder.is_hls,
        )
        assert differences(ladder, picture, facts) == []
