"""Programs that may hang are left in time, and nothing of them stays."""

import os
import time
from pathlib import Path

import psutil

from tests.waiting import wait_until
from workers.box.view import Command
from workers.hardware.bounded import run_bounded

ENVIRONMENT = {"PATH": os.environ["PATH"]}


def sh(script: str, *, timeout_seconds: float = 10.0) -> tuple[int | None, str, str]:
    command = Command(argv=("sh", "-c", script), environment=ENVIRONMENT)
    end = run_bounded(command, timeout_seconds=timeout_seconds)
    return end.return_code, end.stdout, end.stderr


def test_program_that_ends_gives_its_code_and_words() -> None:
    assert sh("echo out; echo bad >&2; exit 7") == (7, "out\n", "bad\n")
    assert sh("kill -SEGV $$")[0] == -11


def test_program_that_ignores_signals_is_killed_with_its_children(tmp_path: Path) -> None:
    started = time.monotonic()
    script = f"trap '' TERM INT; sleep 600 & echo $! > {tmp_path}/child; wait; wait"

    assert sh(script, timeout_seconds=0.5)[0] is None
    assert time.monotonic() - started < 3
    child = int((tmp_path / "child").read_text())
    wait_until(lambda: not psutil.pid_exists(child) or psutil.Process(child).status() == "zombie")


def test_program_that_leaves_its_output_open_elsewhere_does_not_hold_the_caller() -> None:
    started = time.monotonic()

    assert sh("setsid sleep 5 & exit 0", timeout_seconds=0.5)[0] is None
    assert time.monotonic() - started < 3
