"""How far a job is, as people and programs are told; and how fast it stops."""

import os
import pty
import re
import statistics
import subprocess
import time

from tests.acceptance.farm import FFRTMP, RunningFarm
from tests.waiting import wait_until

TRIES = 3


def test_a_running_job_has_a_fraction_frames_a_second_and_speed(farm: RunningFarm) -> None:
    job = farm.submit(scenario="test-1080p", duration="1h")
    moved = wait_until(
        lambda: found if (found := farm.client.job(job["id"])).progress > 0 else None,
        what="progress",
    )
    shown = farm.cli("jobs", "status", job["id"]).stdout
    farm.cli("jobs", "cancel", job["id"])

    assert 0 < moved.progress < 1
    assert moved.fps
    assert moved.speed
    assert re.search(r"^speed +[0-9.]+$", shown, re.MULTILINE)


def test_waiting_prints_plain_lines_where_there_is_no_terminal(farm: RunningFarm) -> None:
    finished = farm.cli(
        *("jobs", "submit", "--scenario", "test-720p", "--duration", "10s", "--wait")
    )

    assert "\x1b" not in finished.stdout + finished.stderr
    assert re.search(r"^job \d+ test-720p: \d+% running", finished.stderr, re.MULTILINE)
    assert re.search(r"^job \d+ test-720p: 100% completed$", finished.stderr, re.MULTILINE)


def test_waiting_draws_a_bar_on_a_terminal(farm: RunningFarm) -> None:
    seen, status = _on_a_terminal(
        farm, "jobs", "submit", "--scenario", "test-720p", "--duration", "2s", "--wait"
    )

    assert status == 0
    assert "\x1b[" in seen
    assert "━━━" in seen
    assert "100%" in seen


def test_a_canceled_jobs_ffmpeg_is_gone_within_a_second(farm: RunningFarm) -> None:
    took = []
    for _ in range(TRIES):
        job = farm.submit(scenario="test-1080p", duration="1h")
        wait_until(farm.ffmpegs, what="an ffmpeg")
        canceled_at = time.monotonic()
        farm.client.cancel(job["id"])
        wait_until(lambda: not farm.ffmpegs(), what="no ffmpeg")
        took.append(time.monotonic() - canceled_at)

    assert statistics.median(took) < 1


def _on_a_terminal(farm: RunningFarm, *arguments: str) -> tuple[str, int]:
    """What a terminal was sent, and the exit code."""
    ours, theirs = pty.openpty()
    environment = farm.environment(cli=True) | {"TERM": "xterm-256color", "COLUMNS": "100"}
    with subprocess.Popen(
        [FFRTMP, *arguments], env=environment, stdin=theirs, stdout=theirs, stderr=theirs
    ) as process:
        os.close(theirs)
        seen = b""
        while piece := _read(ours):
            seen += piece
    os.close(ours)
    return seen.decode(), process.returncode


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 4096)
    except OSError:  # the other side is closed
        return b""
