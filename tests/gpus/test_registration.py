"""What a real agent tells the master of its devices."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.gpus.hosts import Host
from tests.integration.agents import AgentProcess, Master, kill_tree


@pytest.fixture
def master(tmp_path: Path) -> Iterator[Master]:
    (tmp_path / "farm").mkdir()
    running = Master(tmp_path / "farm")
    try:
        yield running
    finally:
        running.close()


def test_agent_registers_its_gpus_and_what_they_encode(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, master: Master
) -> None:
    host = Host(tmp_path / "host")
    host.add_nvidia("eight_bit", name="NVIDIA T400")
    host.add_nvidia("no_encoder", name="NVIDIA H100")
    for name, value in host.environment.items():
        monkeypatch.setenv(name, value)

    agent = AgentProcess(master.url, tmp_path / "node", ffmpeg=host.ffmpeg)
    try:
        agent.ready()
        hardware = master.client.node("node").hardware
        agent.end()
    finally:
        kill_tree(agent)

    first, second = hardware["gpus"][:2]
    assert (first["name"], first["driver"]) == ("NVIDIA T400", "570.86.15")
    assert first["encoders"] == ["av1_nvenc", "h264_nvenc", "hevc_nvenc"]
    assert second["encoders"] == []
    assert "unsupported device" in second["reason"]
    deep = {(t["device"], t["works"]) for t in hardware["encoders"] if t["bits"] == 10}
    assert {("cpu", True), ("gpu0", False), ("gpu1", False)} <= deep
