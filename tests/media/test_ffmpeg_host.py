"""Finding ffmpeg and trying its encoders."""

import json
import time
from pathlib import Path

import pytest

from ffrtmp.domain.media import Codec, Hardware
from tests.media.specs import FFMPEG
from workers.ffmpeg.binary import FfmpegMissing, find_ffmpeg, version
from workers.hardware import encoders, host

SOFTWARE = {(Hardware.CPU, codec) for codec in Codec}


def fake(path: Path, script: str) -> Path:
    """An executable shell script."""
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


def test_configured_ffmpeg_wins_over_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    on_path = fake(tmp_path / "ffmpeg", "exit 0")
    other = fake(tmp_path / "other", "exit 0")
    monkeypatch.setenv("PATH", str(tmp_path))

    assert find_ffmpeg(other) == other
    assert find_ffmpeg(None) == on_path


def test_host_without_ffmpeg_uses_the_packages_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "imageio_ffmpeg" in find_ffmpeg(None).parts


def test_configured_ffmpeg_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(FfmpegMissing, match="nope"):
        find_ffmpeg(tmp_path / "nope")


def test_version_is_ffmpegs_own_word(tmp_path: Path) -> None:
    assert version(FFMPEG)[0] in "n0123456789N"
    with pytest.raises(FfmpegMissing, match="is not ffmpeg"):
        version(fake(tmp_path / "liar", "echo hello"))
    with pytest.raises(FfmpegMissing, match="does not run"):
        version(fake(tmp_path / "broken", "exit 1"))


def test_every_software_encoder_works_within_three_seconds(tmp_path: Path) -> None:
    started = time.monotonic()
    found = encoders.working_encoders(FFMPEG, cache_folder=tmp_path)

    assert found >= SOFTWARE
    assert time.monotonic() - started < 3


def test_encoder_that_does_not_encode_is_not_counted_nor_remembered(tmp_path: Path) -> None:
    script = f'case "$*" in *libx265*) exit 1;; esac; exec {FFMPEG} "$@"'
    ffmpeg = fake(tmp_path / "ffmpeg", script)

    found = encoders.working_encoders(ffmpeg, cache_folder=tmp_path)

    assert {e for e in found if e[0] is Hardware.CPU} == SOFTWARE - {(Hardware.CPU, Codec.HEVC)}
    assert "hevc" not in json.loads((tmp_path / "encoders.json").read_text())["software"]


def test_second_look_does_not_try_what_worked(tmp_path: Path) -> None:
    calls = tmp_path / "calls"
    ffmpeg = fake(tmp_path / "ffmpeg", f'echo "$*" >> {calls}; exec {FFMPEG} "$@"')
    first = encoders.working_encoders(ffmpeg, cache_folder=tmp_path)
    calls.write_text("")

    assert encoders.working_encoders(ffmpeg, cache_folder=tmp_path) == first
    assert "libx264" not in calls.read_text()


@pytest.mark.parametrize("content", ["", "[]", '{"key": 1}', '{"software": 3}'])
def test_broken_cache_only_costs_time(tmp_path: Path, content: str) -> None:
    (tmp_path / "encoders.json").write_text(content)

    assert encoders.working_encoders(FFMPEG, cache_folder=tmp_path) >= SOFTWARE


def test_host_facts_are_json_and_fit_the_wire(tmp_path: Path) -> None:
    facts, load = host.describe(FFMPEG, tmp_path), host.load()

    assert json.loads(json.dumps(facts))["cores"] >= 1
    assert json.loads(json.dumps(load))["memory_available_bytes"] > 0
    assert len(facts) <= 64
    assert len(load) <= 32
