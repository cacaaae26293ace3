"""``ffrtmp demo``: the first thing a newcomer runs."""

import json
import os
import signal
import subprocess
from pathlib import Path

from tests.acceptance.farm import FFRTMP
from tests.acceptance.processes import Family
from tests.waiting import wait_until

BUNNY = Path(__file__).parents[1] / "media" / "bigbuckbunny.mp4"
QUEUES = ("live", "default", "batch")


def test_the_demo_shows_three_finished_jobs_and_leaves_nothing(tmp_path: Path) -> None:
    family = Family()
    finished = subprocess.run(
        [FFRTMP, "demo"],
        env=os.environ | family.environment | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    rows = [line.split() for line in finished.stdout.splitlines()[1:4]]
    assert [(row[2], row[4]) for row in rows] == [(queue, "completed") for queue in QUEUES]
    assert "the end of job 1's log" in finished.stdout
    family.assert_gone()
    assert list(tmp_path.iterdir()) == []


def test_the_demo_transcodes_a_given_file_and_keeps_outputs_when_asked(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    clip.symlink_to(BUNNY)
    finished = subprocess.run(
        [FFRTMP, "demo", "clip.mp4", "--keep", "--output", "json"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert finished.returncode == 0, finished.stderr
    shown = json.loads(finished.stdout)
    assert [job["parameters"]["input"] for job in shown["jobs"]] == [str(clip)] * 3
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
