"""Finding ffmpeg, and what the host says of itself."""

import json
from pathlib import Path

import pytest

from tests.media.specs import FFMPEG
from workers.ffmpeg.binary import FfmpegMissing, encoder_names, find_ffmpeg, version
from workers.hardware import host


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


def test_encoders_of_a_build_are_those_it_lists(tmp_path: Path) -> None:
    assert {"libx264", "libvpx-vp9", "h264_nvenc"} <= encoder_names(FFMPEG)
    assert "aac" not in encoder_names(FFMPEG)
    with pytest.raises(FfmpegMissing, match="does not run"):
        encoder_names(fake(tmp_path / "broken", "exit 1"))


def test_host_facts_are_json_and_fit_the_wire(tmp_path: Path) -> None:
    facts, load = host.describe(FFMPEG, tmp_path), host.load()

    assert json.loads(json.dumps(facts))["cores"] >= 1
    assert json.loads(json.dumps(load))["memory_available_bytes"] > 0
    assert len(facts) <= 64
    assert len(load) <= 32
