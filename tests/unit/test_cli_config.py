"""What ``config``, ``master`` and ``agent`` make of flags, environment and file."""

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.config import MASK, recommended
from cli.main import run
from ffrtmp.config import SETTINGS_VARIABLE, MasterSettings, WorkerSettings

GIB = 1 << 30


class Replaced(Exception):  # noqa: N818
    """Stands for the end of this program: execve does not return."""


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[str], dict[str, str]]]:
    calls: list[tuple[list[str], dict[str, str]]] = []

    def execve(_path: str, arguments: list[str], environment: dict[str, str]) -> None:
        calls.append((arguments, environment))
        raise Replaced

    monkeypatch.setattr(os, "execve", execve)
    for name in ("MASTER_API_KEY", "FFMPEG_RTMP_API_KEY", "MASTER_DB", "MASTER_URL"):
        monkeypatch.delenv(name, raising=False)
    return calls


def test_master_hands_its_settings_on_in_the_environment_alone(
    executed: list[tuple[list[str], dict[str, str]]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MASTER_API_KEY", "from-environment")
    flags = ["--db", "master.db", "--port", "8081", "--node-timeout", "2m", "--only", "api"]
    with pytest.raises(Replaced):
        run(["master", *flags, "--tls", "--cert", "c.pem", "--key", "k.pem"])
    [(arguments, environment)] = executed
    settings = MasterSettings.model_validate_json(environment[SETTINGS_VARIABLE])

    assert arguments[0] == sys.executable
    assert arguments[-1] == "ffrtmp.master"
    assert "MASTER_API_KEY" not in environment
    assert (settings.port, settings.db, settings.only) == (8081, "master.db", "api")
    assert (settings.node_timeout, settings.api_key) == (120.0, "from-environment")
    assert (settings.tls.enabled, settings.tls.cert) == (True, Path("c.pem"))


def test_agent_hands_its_settings_on_in_the_environment_alone(
    executed: list[tuple[list[str], dict[str, str]]],
) -> None:
    flags = ["--queues", "live,batch", "--media-root", "/a", "--media-root", "/b", "--slots", "3"]
    with pytest.raises(Replaced):
        run(["agent", "--register", "--master", "http://m:1", "--api-key", "k", *flags])
    [(arguments, environment)] = executed
    settings = WorkerSettings.model_validate_json(environment[SETTINGS_VARIABLE])

    assert arguments[-1] == "workers"
    assert "k" not in arguments
    assert (settings.master_url, settings.api_key, settings.slots) == ("http://m:1", "k", 3)
    assert settings.queues == ["live", "batch"]
    assert settings.media_roots == [Path("/a"), Path("/b")]


def test_config_show_masks_keys_and_names_origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "farm.yaml"
    file.write_text("master:\n  port: 9000\n  db_path: postgresql://me:pw@db/farm\n")
    monkeypatch.setenv("MASTER_API_KEY", "very-secret")

    assert run(["config", "show", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "very-secret" not in out
    assert ":pw@" not in out
    assert lines["master.api_key"].split()[1:] == [MASK, "MASTER_API_KEY"]
    assert lines["master.port"].split()[1:] == ["9000", str(file)]
    assert lines["master.host"].endswith("default")


def test_config_show_is_json_on_demand(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["config", "show", "--output", "json"]) == 0

    assert set(json.loads(capsys.readouterr().out)) == {"master", "worker"}


def test_what_is_recommended_can_be_loaded(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["config", "recommend"]) == 0
    file = tmp_path / "farm.yaml"
    file.write_text(capsys.readouterr().out)

    assert run(["config", "show", "--config", str(file)]) == 0
    assert set(yaml.safe_load(file.read_text())) == {"master", "worker"}


@pytest.mark.parametrize(
    ("cores", "memory_bytes", "slots"),
    [(1, 8 * GIB, 1), (2, GIB // 2, 1), (16, 64 * GIB, 8), (64, 8 * GIB, 8)],
)
def test_slots_follow_cores_and_memory(cores: int, memory_bytes: int, slots: int) -> None:
    found: dict[str, Any] = recommended(cores, memory_bytes)

    assert found["worker"]["slots"] == slots
