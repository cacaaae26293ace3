"""Which GPUs a host is found to have."""

import logging
import time
from pathlib import Path

import pytest

from ffrtmp.domain.media import Hardware
from tests.gpus.hosts import Host
from workers.ffmpeg.target import Target
from workers.hardware.gpus import Gpu, find_gpus

NVML_LIMIT_SECONDS = 20.0


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Host:
    host = Host(tmp_path / "host")
    for name, value in host.environment.items():
        monkeypatch.setenv(name, value)
    return host


def found(folder: Path, *, nvml_seconds: float = NVML_LIMIT_SECONDS) -> tuple[Gpu, ...]:
    """What is found where ``folder`` has dev and sys."""
    return find_gpus(dev=folder / "dev", system=folder / "sys", nvml_seconds=nvml_seconds)


def add_render_node(folder: Path, name: str, *, vendor: str, device: str) -> None:
    (folder / "dev" / "dri").mkdir(parents=True, exist_ok=True)
    (folder / "dev" / "dri" / name).touch()
    facts = folder / "sys" / "class" / "drm" / name / "device"
    facts.mkdir(parents=True)
    (facts / "vendor").write_text(f"{vendor}\n")
    (facts / "device").write_text(f"{device}\n")


def test_host_without_gpu_has_none_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PYTHONPATH", Host(tmp_path / "host").environment["PYTHONPATH"])
    monkeypatch.delenv("FAKE_NVML", raising=False)
    caplog.set_level(logging.INFO)

    assert found(tmp_path) == ()
    assert caplog.text.count("NVML Shared Library Not Found") == 1


def test_nvidias_own_library_is_asked_where_none_is_faked(tmp_path: Path) -> None:
    names = {gpu.targets[0].hardware for gpu in found(tmp_path)}

    assert names <= {Hardware.NVENC}


def test_nvidia_gpus_are_known_by_index_with_driver_and_memory(tmp_path: Path, host: Host) -> None:
    host.add_nvidia(name="NVIDIA L4")
    host.add_nvidia(name="NVIDIA T400")

    first, second = found(tmp_path)

    assert first == Gpu(
        id="gpu0",
        name="NVIDIA L4",
        targets=(Target(hardware=Hardware.NVENC, address="0"),),
        driver="570.86.15",
        uuid="GPU-0",
        memory_bytes=24 << 30,
        bus_id="00000000:01:00.0",
    )
    assert (second.id, second.name, second.targets[0].address) == ("gpu1", "NVIDIA T400", "1")
    assert first.identity != second.identity


def test_gpu_that_shares_the_hosts_memory_is_still_found(tmp_path: Path, host: Host) -> None:
    host.add_nvidia()
    host.nvml["gpus"][0]["memory"] = None
    host.write()

    assert [gpu.memory_bytes for gpu in found(tmp_path)] == [None]


def test_gpu_that_fell_off_the_bus_is_left_out_and_the_others_stay(
    tmp_path: Path, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.add_nvidia()
    host.add_nvidia()
    host.nvml["gpus"][0]["lost"] = True
    host.write()

    assert [gpu.targets[0].address for gpu in found(tmp_path)] == ["1"]
    assert "GPU 0: GPU is lost" in caplog.text


def test_nvml_that_fails_gives_no_gpu_and_a_warning(
    tmp_path: Path, host: Host, caplog: pytest.LogCaptureFixture
) -> None:
    host.add_nvidia()
    host.nvml["error"] = "nvmlInit"
    host.write()

    assert found(tmp_path) == ()
    assert "Driver Not Loaded" in caplog.text


@pytest.mark.parametrize("function", ["nvmlInit", "nvmlDeviceGetName"])
def test_nvml_that_hangs_costs_its_limit_and_no_more(
    tmp_path: Path, host: Host, caplog: pytest.LogCaptureFixture, function: str
) -> None:
    host.add_nvidia()
    host.nvml["hang"] = function
    host.write()
    started = time.monotonic()

    assert found(tmp_path, nvml_seconds=1.0) == ()
    assert time.monotonic() - started < 4
    assert "did not answer within 1 s" in caplog.text


def test_nvml_child_that_crashes_gives_no_gpu_and_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "pynvml.py").write_text("import os\nos.kill(os.getpid(), 11)\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))

    assert found(tmp_path) == ()
    assert "asking NVML ended with -11" in caplog.text


def test_device_files_stand_in_for_a_missing_nvml(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, host: Host
) -> None:
    monkeypatch.delenv("FAKE_NVML")
    (tmp_path / "dev").mkdir()
    for name in ("nvidia10", "nvidia2", "nvidiactl", "nvidia-uvm"):
        (tmp_path / "dev" / name).touch()
    (tmp_path / "sys" / "module" / "nvidia").mkdir(parents=True)
    (tmp_path / "sys" / "module" / "nvidia" / "version").write_text("570.86.15\n")

    gpus = found(tmp_path)

    assert [(gpu.id, gpu.targets[0].address) for gpu in gpus] == [("gpu0", "2"), ("gpu1", "10")]
    assert {gpu.driver for gpu in gpus} == {"570.86.15"}


def test_render_nodes_are_spoken_to_as_their_vendor_allows(tmp_path: Path, host: Host) -> None:
    host.add_nvidia()
    add_render_node(tmp_path, "renderD130", vendor="0x1002", device="0x744c")
    add_render_node(tmp_path, "renderD128", vendor="0x10de", device="0x27b8")
    add_render_node(tmp_path, "renderD129", vendor="0x8086", device="0x56a0")
    (tmp_path / "dev" / "dri" / "renderD131").touch()

    gpus = found(tmp_path)

    intel, amd = (str(tmp_path / "dev" / "dri" / f"renderD{n}") for n in (129, 130))
    assert [(gpu.id, gpu.name) for gpu in gpus] == [
        ("gpu0", "NVIDIA L4"),
        ("gpu1", "Intel GPU 56a0"),
        ("gpu2", "AMD GPU 744c"),
    ]
    assert gpus[1].targets == (
        Target(hardware=Hardware.QSV, address=intel),
        Target(hardware=Hardware.VAAPI, address=intel),
    )
    assert gpus[2].targets == (Target(hardware=Hardware.VAAPI, address=amd),)
