"""``ffrtmp demo``: the first thing a newcomer runs."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

from tests.acceptance.farm import FFRTMP, wait_until
from tests.acceptance.processes import Family

QUEUES = ("live", "default", "batch")


def test_the_demo_shows_three_finished_jobs_and_leaves_nothing(tmp_path: Path) -> None:
    family = Family()
    started_at = time.monotonic()
    finished = subprocess.run(
        [FFRTMP, "demo"],
        env=os.environ | family.environment | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    assert time.monotonic() - started_at < 90
    rows = [line.split() for line in finished.stdout.splitlines()[1:4]]
    assert [(row[2], row[4]) for row in rows] == [(queue, "completed") for queue in QUEUES]
    assert "the end of job 1's log" in finished.stdout
    family.assert_gone()
    assert list(tmp_path.iterdir()) == []


def test_the_demo_transcodes_a_given_file_and_keeps_it_when_asked(tmp_path: Path) -> None:
    clip = Path(__file__).parents[1] / "media"
    assert clip.is_dir()
    made = tmp_path / "made.mp4"
    subprocess.run(_make(made), check=True, capture_output=True)
    finished = subprocess.run(
        [FFRTMP, "demo", "made.mp4", "--keep", "--output", "json"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    shown = json.loads(finished.stdout)
    assert shown["first_ffmpeg_seconds"] < 10
    assert [job["parameters"]["input"] for job in shown["jobs"]] == [str(made)] * 3
    for job in shown["jobs"]:
        assert Path(job["result"]["output"]).stat().st_size == job["result"]["size_bytes"]


def test_an_interrupted_demo_leaves_nothing(tmp_path: Path) -> None:
    family = Family()
    with subprocess.Popen(
        [FFRTMP, "demo"],
        env=os.environ | family.environment | {"TMPDIR": str(tmp_path)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as demo:
        wait_until(lambda: len(family.running()) > 3, what="the farm to come up")
        demo.send_signal(signal.SIGINT)

        assert demo.wait(30) == 130
    family.assert_gone()
    assert list(tmp_path.iterdir()) == []


def test_an_input_that_is_no_file_is_a_usage_error() -> None:
    finished = subprocess.run(
        [FFRTMP, "demo", "/nowhere.mp4"], capture_output=True, text=True, check=False
    )

    assert finished.returncode == 2
    assert finished.stderr.count("\n") == 1


def _make(to: Path) -> list[str]:
    from cli.clip import clip_command, find_ffmpeg

    return clip_command(find_ffmpeg(), to)
