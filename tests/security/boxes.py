"""Boxes of this host, an attempt's places, and programs that run in ffmpeg's place."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ffrtmp.config.values import Sandbox
from tests.media.specs import FFMPEG
from workers.box.box import Box
from workers.box.found import find_box
from workers.box.view import Places, View
from workers.ffmpeg.child import UNCONFINED, Confinement
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.process import FfmpegProcess, ProcessEnd

SECRET = "the-words-of-another-film"
BASH = "/usr/bin/bash"


def has_namespaces() -> bool:
    """Whether it works here at all, by words that are not the agent's."""
    bwrap = shutil.which("bwrap")
    words = ("--unshare-pid", "--unshare-net", "--ro-bind", "/", "/", "--proc", "/proc", "true")
    return bwrap is not None and subprocess.run([bwrap, *words], check=False).returncode == 0


def box_of(wanted: Sandbox) -> Box:
    if os.getuid() != 0 and wanted is Sandbox.USER:
        pytest.skip("only root can give up its rights")
    if wanted is Sandbox.BUBBLEWRAP and not has_namespaces():
        pytest.skip("bubblewrap is not installed, or may make no namespaces")
    return find_box(FFMPEG, wanted=wanted)


@pytest.fixture(scope="module")
def closed() -> Box:
    """By bubblewrap."""
    return box_of(Sandbox.BUBBLEWRAP)


@pytest.fixture(scope="module", params=[Sandbox.BUBBLEWRAP, Sandbox.USER])
def box(request: pytest.FixtureRequest) -> Box:
    return box_of(request.param)


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Of an attempt whose folders nobody but root may enter, as everywhere below a home of root."""
    tmp_path.chmod(0o700)
    (tmp_path / "media").mkdir()
    (tmp_path / "media" / "film.mkv").write_text("film")
    (tmp_path / "media" / "other.mkv").write_text(SECRET)
    (tmp_path / "input").mkdir(mode=0o700)
    source = tmp_path / "input" / "film.mkv"
    source.symlink_to(tmp_path / "media" / "film.mkv")
    (tmp_path / "out").mkdir()
    output = tmp_path / "out" / ".film.mp4.part"
    output.touch()
    scratch = tmp_path / "scratch"
    scratch.mkdir(mode=0o700)
    return Places(source=source, output=output, scratch=scratch)


def ran(
    view: View,
    script: str,
    *arguments: object,
    confinement: Confinement = UNCONFINED,
    timeout_seconds: float = 20,
) -> tuple[ProcessEnd, str]:
    """How a script in ffmpeg's place ended, and what it wrote."""
    argv = (BASH, "-c", f"exec 1>&2; {script}", "it", *map(str, arguments))
    process = FfmpegProcess(argv, timeout_seconds=timeout_seconds)
    process.confine(confinement, view)
    log = BoundedLog()
    return process.run(lambda _: None, log), log.text()
