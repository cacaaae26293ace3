"""What is promised in seconds: measured by ``make bench``, on a machine that does nothing else."""

import json
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.acceptance.farm import FFRTMP
from tests.simulation.run import failures

pytestmark = pytest.mark.slow

SEEDS = 500
FIRST_FFMPEG_SECONDS = 10
DEMO_SECONDS = 90
SIMULATION_SECONDS = 60


def test_bench_demo(tmp_path: Path) -> None:
    began = time.monotonic()
    finished = subprocess.run(
        [FFRTMP, "demo", "--output", "json"],
        env=os.environ | {"TMPDIR": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    took = time.monotonic() - began
    first = json.loads(finished.stdout)["first_ffmpeg_seconds"]
    print(f"\ndemo: {took:.1f} s, from farm start to the first ffmpeg {first:.1f} s")

    assert first < FIRST_FFMPEG_SECONDS
    assert took < DEMO_SECONDS


def test_bench_simulation() -> None:
    began = time.monotonic()
    found = failures(range(SEEDS))
    took = time.monotonic() - began
    print(f"\nsimulation: {SEEDS} seeds in {took:.1f} s")

    assert found == []
    assert took < SIMULATION_SECONDS
