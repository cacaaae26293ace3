"""Hosts with GPUs: what runs where, and what becomes of a GPU that fails."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.media import Hardware
from ffrtmp.domain.node import NodeStatus
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import DeviceAnswer, JobAnswer
from tests.chaos.conftest import MakeFarm
from tests.chaos.farm import ChaosFarm
from tests.chaos.wrapped import wrapped_ffmpeg
from tests.gpus.hosts import Host
from tests.integration.agents import AgentProcess
from tests.waiting import wait_until

StartGpuHost = Callable[..., AgentProcess]
SECONDS_UNTIL_TAKEN = 10.0
TOO_SMALL_FOR_NVENC = {
    "scenario": "test-h264",
    "parameters": {"resolution": "128x96", "duration": 0.1},
}


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path / "gpus")


@pytest.fixture
def start_gpu_host(host: Host, monkeypatch: pytest.MonkeyPatch) -> StartGpuHost:
    """``start_gpu_host(farm, **agent settings)``: an agent named gpu-host on ``host``."""

    def start(on: ChaosFarm, **settings: Any) -> AgentProcess:
        with monkeypatch.context() as patch:
            for name, value in host.environment.items():
                patch.setenv(name, value)
            return on.start_agent("gpu-host", ffmpeg=host.ffmpeg, **settings).ready()

    return start


def history(farm: ChaosFarm, job: JobAnswer) -> list[tuple[str, str, Hardware]]:
    attempts = farm.client.attempts(job.id).attempts
    return [(one.node_name, one.device, one.hardware) for one in attempts]


def gpu(farm: ChaosFarm, number: int = 0) -> DeviceAnswer:
    (node,) = [node for node in farm.client.nodes().nodes if node.name == "gpu-host"]
    return next(device for device in node.devices if device.id == f"gpu{number}")


def test_job_for_any_hardware_runs_on_the_gpu_and_its_file_is_right(
    make_farm: MakeFarm, host: Host, start_gpu_host: StartGpuHost
) -> None:
    farm = make_farm()
    host.add_nvidia("works")
    farm.start_agent("cpu-host").ready()
    start_gpu_host(farm)
    job = farm.wait_for(farm.submit("360p30-hevc"), JobStatus.COMPLETED)

    assert history(farm, job) == [("gpu-host", "gpu0", Hardware.NVENC)]
    (attempt,) = farm.client.attempts(job.id).attempts
    assert "hevc_nvenc" in attempt.argv
    assert job.result is not None
    assert (job.result["device"], job.result["hardware"]) == ("gpu0", "nvenc")


def test_jobs_are_spread_over_all_gpus_up_to_the_slots_of_each(
    make_farm: MakeFarm, host: Host, start_gpu_host: StartGpuHost
) -> None:
    farm = make_farm()
    for _ in range(2):
        host.add_nvidia("works")
    start_gpu_host(farm, gpu_slots=2)
    jobs = [farm.submit("1080p30-h264", hardware="gpu", duration=600) for _ in range(5)]

    def running() -> list[str] | None:
        devices = [device for job in jobs for _, device, _ in history(farm, job)]
        return sorted(devices) if len(devices) == 4 else None

    assert wait_until(running, what="four encodes") == ["gpu0", "gpu0", "gpu1", "gpu1"]
    assert farm.client.job(jobs[-1].id).status is JobStatus.PENDING


def test_encode_that_a_gpu_fails_goes_to_the_next_gpu_and_then_to_a_cpu(
    make_farm: MakeFarm, host: Host, start_gpu_host: StartGpuHost
) -> None:
    farm = make_farm()
    for _ in range(2):
        host.add_nvidia("works")
    start_gpu_host(farm)
    farm.start_agent("cpu-host").ready()
    for number in range(2):
        host.behave(str(number), "no_session")
    job = farm.wait_for(farm.submit(), JobStatus.COMPLETED)

    found = history(farm, job)
    assert {device for _, device, _ in found[:2]} == {"gpu0", "gpu1"}
    assert [hardware for _, _, hardware in found] == [
        Hardware.NVENC,
        Hardware.NVENC,
        Hardware.CPU,
    ]
    failures = [one.failure_class for one in farm.client.attempts(job.id).attempts]
    assert failures == [FailureClass.HARDWARE, FailureClass.HARDWARE, None]


def test_job_that_a_gpu_cannot_do_runs_on_a_cpu_and_is_not_the_gpus_fault(
    make_farm: MakeFarm, host: Host, start_gpu_host: StartGpuHost
) -> None:
    farm = make_farm()
    host.add_nvidia("works")
    start_gpu_host(farm)
    small = [
        farm.wait_for(farm.client.submit(TOO_SMALL_FOR_NVENC), JobStatus.COMPLETED)
        for _ in range(4)
    ]

    assert {tuple(hardware for *_, hardware in history(farm, job)) for job in small} == {
        (Hardware.NVENC, Hardware.CPU)
    }
    attempts = farm.client.attempts(small[0].id).attempts
    assert attempts[0].failure_class is FailureClass.INCAPABLE
    assert gpu(farm).set_aside is None


def test_job_that_asks_for_a_gpu_waits_for_one_and_is_taken_soon_after_its_arrival(
    make_farm: MakeFarm, host: Host, start_gpu_host: StartGpuHost
) -> None:
    farm = make_farm()
    host.add_nvidia("works")
    farm.start_agent("cpu-host").ready()
    waiting = [farm.submit(hardware="nvenc") for _ in range(30)]
    on_cpu = farm.wait_for(farm.submit(hardware="cpu"), JobStatus.COMPLETED)
    reason = farm.client.job(waiting[0].id).waiting_reason or ""
    start_gpu_host(farm)

    assert on_cpu.node_name == "cpu-host"
    assert reason.startswith("no node at work can encode h264 with hardware nvenc")
    first = farm.wait_for(waiting[0], JobStatus.COMPLETED, seconds=SECONDS_UNTIL_TAKEN)
    assert first.node_name == "gpu-host"


def test_gpu_that_fails_every_job_is_set_aside_and_a_canary_lets_it_back(
    make_farm: MakeFarm, host: Host, start_gpu_host: StartGpuHost
) -> None:
    farm = make_farm(canary_after=3.0)
    for _ in range(2):
        host.add_nvidia("works")
    start_gpu_host(farm)
    host.behave("0", "no_session")
    jobs = [farm.submit(hardware="nvenc", duration=1) for _ in range(12)]
    for job in jobs:
        farm.wait_for(job, JobStatus.COMPLETED, seconds=60)
    aside = wait_until(lambda: gpu(farm).set_aside, what="gpu0 to be set aside")
    retries = [farm.client.job(job.id).retry_count for job in jobs]
    host.behave("0", "works")

    assert "set aside" in aside
    assert max(retries) <= 1
    (node,) = farm.client.nodes().nodes
    assert node.status is not NodeStatus.DRAINING
    wait_until(lambda: farm.submit(hardware="nvenc") and gpu(farm).set_aside is None, seconds=40)


def test_node_that_was_set_aside_is_let_back_by_a_canary_once_it_works(
    make_farm: MakeFarm, tmp_path: Path
) -> None:
    farm = make_farm(canary_after=3.0, max_retries=20)
    crashes = tmp_path / "crashes"
    crashes.touch()
    ffmpeg = wrapped_ffmpeg(tmp_path / "ffmpeg", f"[ -e {crashes} ] && kill -SEGV $$")
    farm.start_agent("broken", ffmpeg=ffmpeg).ready()
    jobs = [farm.submit() for _ in range(4)]

    def status() -> NodeStatus:
        (node,) = farm.client.nodes().nodes
        return node.status

    wait_until(lambda: status() is NodeStatus.DRAINING, what="the node to be set aside")
    crashes.unlink()
    for job in jobs:
        farm.wait_for(job, JobStatus.COMPLETED, seconds=60)
    assert status() in (NodeStatus.AVAILABLE, NodeStatus.BUSY)
