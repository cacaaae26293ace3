"""``ffrtmp doctor`` as a process: what it says of a host, and how it ends."""

import json
import os
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.gpus.hosts import Host
from tests.integration.agents import KEY, Master
from tests.media.specs import FFMPEG

FFRTMP = str(Path(sys.executable).parent / "ffrtmp")
SETTINGS_NAMES = ("MASTER_", "FFMPEG_RTMP_", "FFRTMP_")


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    running = Master(tmp_path_factory.mktemp("farm"))
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "host")


def doctor(
    folder: Path, *arguments: str, environment: Mapping[str, str] | None = None
) -> "subprocess.CompletedProcess[str]":
    """``ffrtmp doctor`` with its state in ``folder``."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(SETTINGS_NAMES)}
    return subprocess.run(
        [FFRTMP, "doctor", "--state-dir", str(folder / "state"), *arguments],
        env=kept | dict(environment or {}),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def findings(finished: "subprocess.CompletedProcess[str]") -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(finished.stdout)
    return answer


def checked(finished: "subprocess.CompletedProcess[str]") -> dict[str, tuple[str, str]]:
    """Status and detail by the name of each check."""
    checks = findings(finished)["checks"]
    return {check["name"]: (check["status"], check["detail"]) for check in checks}


def rows(table: str) -> dict[tuple[str, str], str]:
    """The rest of each row by its first two cells."""
    cells = [line.split(maxsplit=2) for line in table.splitlines() if len(line.split()) > 2]
    return {(row[0], row[1]): row[2].strip() for row in cells}


def test_host_without_gpu_can_work_and_shows_its_encoders(tmp_path: Path) -> None:
    finished = doctor(tmp_path, "--gpu-slots", "0", "--slots", "1", "--ffmpeg", str(FFMPEG))

    assert finished.returncode == 0, finished.stderr
    said = rows(finished.stdout)
    assert said["cpu", "libx264"].split() == ["yes", "yes"]
    assert said["cpu", "libvpx-vp9"].split() == ["yes", "yes"]
    assert said["ffmpeg", "ok"].startswith(f"{FFMPEG}: version ")
    assert "slots: 1, encoder threads" in said["cpu", "ok"]
    assert "disk by rlimit and watch" in said["limits", "ok"]
    assert said["master", "skipped"].startswith("none was named")
    assert not (tmp_path / "state").exists()


def test_two_gpus_show_what_each_encodes_and_why_not(tmp_path: Path, host: Host) -> None:
    host.add_nvidia("eight_bit", name="NVIDIA T400")
    host.add_nvidia("no_encoder", name="NVIDIA H100")

    finished = doctor(tmp_path, "--ffmpeg", str(host.ffmpeg), environment=host.environment)

    assert finished.returncode == 0, finished.stderr
    said = rows(finished.stdout)
    assert said["gpu0", "ok"] == "NVIDIA T400, driver 570.86.15, slots: 2"
    assert said["gpu1", "unused"].startswith("NVIDIA H100, driver 570.86.15: no encoder works: ")
    assert said["gpu0", "hevc_nvenc"].split(maxsplit=1) == [
        "yes",
        "no: 10 bit encode not supported",
    ]
    assert said["gpu1", "av1_nvenc"].startswith("no: OpenEncodeSessionEx failed: unsupported")
    assert said["gpu0", "nvenc:hevc"].split() == ["yes", "-"]
    assert ("gpu1", "nvenc:hevc") not in said


def test_json_has_devices_gpus_and_every_test(tmp_path: Path, host: Host) -> None:
    host.add_nvidia("works")
    arguments = ("--ffmpeg", str(host.ffmpeg), "--gpu-slots", "3", "--output", "json")

    finished = doctor(tmp_path, *arguments, environment=host.environment)

    answer = findings(finished)
    assert answer["can_work"] is True
    assert [(d["id"], d["slots"]) for d in answer["devices"]][1] == ("gpu0", 3)
    assert "gpu:av1:10bit" in answer["devices"][1]["capabilities"]
    assert answer["gpus"][0]["encoders"] == ["av1_nvenc", "h264_nvenc", "hevc_nvenc"]
    assert {(t["device"], t["bits"]) for t in answer["encoders"]} >= {("cpu", 8), ("gpu0", 10)}
    assert {
        "device": "gpu0",
        "hardware": "nvenc",
        "codec": "hevc",
        "bits": 10,
        "works": True,
        "reason": None,
    } in answer["decoders"]


def test_doctor_tries_again_what_worked_before(tmp_path: Path, host: Host) -> None:
    arguments = ("--ffmpeg", str(host.ffmpeg), "--gpu-slots", "0")
    doctor(tmp_path, *arguments)
    first = host.take_encodes()

    doctor(tmp_path, *arguments)

    assert len(first) == 8
    assert len(host.take_encodes()) == 8


def test_host_without_ffmpeg_cannot_work(tmp_path: Path) -> None:
    finished = doctor(tmp_path, "--ffmpeg", "/nope/ffmpeg", "--output", "json")

    assert finished.returncode == 1
    assert findings(finished)["can_work"] is False
    assert checked(finished)["ffmpeg"][0] == "failed"
    assert checked(finished)["state folder"][0] == "ok"


def test_host_whose_ffmpeg_encodes_nothing_cannot_work(tmp_path: Path) -> None:
    ffmpeg = tmp_path / "ffmpeg"
    ffmpeg.write_text(f'#!/bin/sh\ncase "$*" in *-c:v*) exit 1;; esac\nexec {FFMPEG} "$@"\n')
    ffmpeg.chmod(0o755)

    finished = doctor(tmp_path, "--ffmpeg", str(ffmpeg), "--gpu-slots", "0", "--output", "json")

    assert finished.returncode == 1
    assert checked(finished)["encoders"] == ("failed", "0 of 8 tests passed")


def test_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    finished = doctor(tmp_path, "--work-dir", "/proc/nobody/out", "--output", "json")

    assert finished.returncode == 1
    assert checked(finished)["work folder"][0] == "failed"
    assert checked(finished)["work folder"][1].startswith("/proc/nobody/out: ")


def test_named_master_is_asked_with_the_key(tmp_path: Path, master: Master) -> None:
    environment = {"MASTER_URL": master.url, "FFMPEG_RTMP_API_KEY": KEY}

    right = doctor(tmp_path, "--output", "json", environment=environment)
    wrong = doctor(tmp_path, "--output", "json", "--api-key", "wrong", environment=environment)

    assert right.returncode == 0, right.stdout
    assert checked(right)["master"] == ("ok", f"{master.url}: it answers and knows 0 nodes")
    assert wrong.returncode == 1
    assert checked(wrong)["master"][0] == "failed"
    assert "credential" in checked(wrong)["master"][1]


def test_master_and_broker_that_do_not_answer_are_failures(tmp_path: Path) -> None:
    with socket.socket() as taken:  # bound and not listening: nobody answers there
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        finished = doctor(
            *(tmp_path, "--output", "json", "--master", f"http://127.0.0.1:{port}"),
            *("--broker", f"redis://:secret@127.0.0.1:{port}/0"),
        )

    assert finished.returncode == 1
    assert checked(finished)["master"][0] == "failed"
    assert checked(finished)["broker"][0] == "failed"
    assert "secret" not in finished.stdout + finished.stderr


def test_driver_that_fails_is_a_word_on_stderr_and_the_cpu_still_works(
    tmp_path: Path, host: Host
) -> None:
    host.add_nvidia("works")
    host.nvml["error"] = "nvmlInit"
    host.write()

    finished = doctor(tmp_path, "--output", "json", environment=host.environment)

    assert finished.returncode == 0
    assert "NVIDIA GPUs are not used: Driver Not Loaded" in finished.stderr
    assert all("nvenc" not in trial["encoder"] for trial in findings(finished)["encoders"])
