"""What the scenario says is what the output has."""

from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import av
import pytest

from tests.acceptance.farm import RunningFarm
from tests.media.specs import make_clip

BUNNY = Path(__file__).parents[1] / "media" / "bigbuckbunny.mp4"
FAST_START = ("-movflags", "+faststart")
DECODERS = {"libdav1d": "av1", "libaom-av1": "av1", "libvpx-vp9": "vp9"}


def facts_of(path: Path) -> tuple[str, int, int, Fraction | None]:
    """Codec, width, height and frame rate, as the file itself has them."""
    with av.open(str(path)) as media:
        video = media.streams.video[0]
        name = video.codec_context.name
        return DECODERS.get(name, name), video.width, video.height, video.average_rate


@pytest.mark.parametrize(
    ("scenario", "to", "facts"),
    [
        ("4K60-h265", "a.mp4", ("hevc", 3840, 2160, 60)),
        ("live-1080p30", "b.mp4", ("h264", 1920, 1080, 30)),
        ("1440p25-h264-batch", "c.mkv", ("h264", 2560, 1440, 25)),
        ("480p24-av1", "d.webm", ("av1", 854, 480, 24)),
        ("TEST-360P50-VP9", "e.webm", ("vp9", 640, 360, 50)),
        ("720p29.97-hevc", "f.mkv", ("hevc", 1280, 720, Fraction(30000, 1001))),
    ],
)
def test_the_output_of_a_test_source_is_what_the_scenario_says(
    farm: RunningFarm, scenario: str, to: str, facts: tuple[str, int, int, Fraction]
) -> None:
    job = farm.submit(scenario=scenario, to=to, duration="0.2s", wait=True)

    assert facts_of(farm.folder / to) == facts
    assert job["result"]["is_test_source"] is True


def test_the_output_of_a_real_input_is_what_scenario_and_parameters_say(farm: RunningFarm) -> None:
    job = farm.submit(
        scenario="720p-hevc",
        input=str(BUNNY),
        to="bunny.mp4",
        fps="12",
        duration="1s",
        bitrate="400k",
        preset="ultrafast",
        audio="none",
        wait=True,
    )

    assert facts_of(farm.folder / "bunny.mp4") == ("hevc", 1280, 720, Fraction(12))
    result = job["result"]
    data = (farm.folder / "bunny.mp4").read_bytes()
    assert result["is_test_source"] is False
    assert result["audio_codecs"] in (None, [], "")
    assert (result["size_bytes"], result["sha256"]) == (len(data), sha256(data).hexdigest())
    assert result["bits_per_second"] == round(len(data) * 8 / result["duration_seconds"])
    assert result["fps"] > 0
    assert result["speed"] > 0


def test_an_absent_input_fails_for_good_and_no_file_stands_in_for_it(farm: RunningFarm) -> None:
    job = farm.submit(scenario="360p", input="absent.mp4", to="never.mp4")
    failed = farm.wait_for(job["id"])

    assert (failed.status, failed.failure_reason) == ("failed", "input_missing")
    assert failed.attempt == 1
    assert not list(farm.folder.glob("*never*"))


def test_quality_is_measured_and_too_little_of_it_fails_for_good(farm: RunningFarm) -> None:
    small = {"scenario": "360p25", "duration": "0.3s", "preset": "ultrafast"}
    good = farm.submit(**small, to="good.mp4", crf="10", ssim=True, min_vmaf="80", wait=True)
    poor = farm.submit(**small, to="poor.mp4", bitrate="10k", min_vmaf="99")
    failed = farm.wait_for(poor["id"])

    assert set(good["result"]["quality"]) == {"vmaf", "ssim"}
    assert good["result"]["quality"]["vmaf"]["mean"] >= 80
    assert (failed.status, failed.failure_reason, failed.attempt) == ("failed", "quality_low", 1)
    assert "is below the 99 asked for; it was VMAF" in (failed.error or "")
    assert not list(farm.folder.glob("*poor*"))


def test_ladder_scenario_makes_an_hls_folder_never_above_its_source(farm: RunningFarm) -> None:
    job = farm.submit(
        scenario="abr-h264",
        input=str(BUNNY),
        to="ladder",
        duration="1s",
        preset="ultrafast",
        wait=True,
    )
    folder = farm.folder / "ladder"
    width, height = facts_of(BUNNY)[1:3]
    result = job["result"]

    assert {rung["name"] for rung in result["renditions"]} == {
        path.name
        for path in folder.iterdir()
        if (folder / path.name / "segment_00000.m4s").exists()
    } - {"audio-1"}
    assert all(rung["width"] <= width and rung["height"] <= height for rung in result["renditions"])
    assert (folder / "master.m3u8").read_text().startswith("#EXTM3U")
    assert result["size_bytes"] == sum(
        path.stat().st_size for path in folder.rglob("*") if path.is_file()
    )
    assert [path.name for path in farm.folder.glob(".ladder*")] == []
    assert sum(rung["size_bytes"] for rung in result["renditions"]) < result["size_bytes"]
    assert result["bits_per_second"] > max(r["bits_per_second"] for r in result["renditions"])


def test_renditions_are_files_of_one_folder_in_two_passes(farm: RunningFarm) -> None:
    job = farm.cli(
        *("jobs", "submit", "--scenario", "test", "--input", str(BUNNY), "--duration", "1s"),
        *("--rendition", "160x120@100k", "--rendition", "80x60@50k", "--two-pass", "--upscale"),
        *("--to", str(farm.folder / "sizes"), "--verify", "decode", "--wait"),
        json=True,
    )

    assert job["status"] == "completed"
    assert [rung["name"] for rung in job["result"]["renditions"]] == ["120p", "60p"]
    assert sorted(path.name for path in (farm.folder / "sizes").iterdir()) == [
        "120p.mp4",
        "60p.mp4",
    ]


def test_a_file_that_does_not_decode_fails_with_the_line_that_matters_and_its_log_is_kept(
    farm: RunningFarm,
) -> None:
    whole = make_clip(farm.folder / "whole.mp4", "-i", str(BUNNY), "-c", "copy", *FAST_START)
    data = whole.read_bytes()
    begin = data.index(b"mdat") + 4
    whole.write_bytes(data[:begin] + bytes(len(data) - begin))

    job = farm.submit(scenario="360p", input=str(whole), to="never.mp4")
    failed = farm.wait_for(job["id"])
    log = farm.cli("jobs", "logs", job["id"]).stdout

    assert (failed.status, failed.failure_reason, failed.attempt) == ("failed", "bad_input", 1)
    assert failed.error == "Decode error rate 1 exceeds maximum 0.666667"
    assert failed.error in log
    assert "Input #0, mov,mp4" in log
    assert len(log.splitlines()) > 20
