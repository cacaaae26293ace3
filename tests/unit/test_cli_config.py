"""What ``config``, ``master`` and ``agent`` make of flags, environment and file."""

import json
import os
import sys
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest
import yaml

from cli.config import MASK, recommended
from cli.main import run
from ffrtmp.config import SETTINGS_VARIABLE, MasterSettings, MasterTls, WorkerSettings
from ffrtmp.master import MTLS_HEALTH_PORT, with_health_port

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


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--tls"], "give --cert and --key"),
        (["--tls", "--cert", "c.pem"], "give --cert and --key"),
        (["--mtls", "--ca", "ca.pem"], "give --tls"),
        (["--tls", "--cert", "c.pem", "--key", "k.pem", "--mtls"], "give --ca"),
        (["--tls", "--cert", "c.pem", "--key", "k.pem", "--crl", "crl.pem"], "give --mtls"),
    ],
)
def test_half_of_tls_is_refused_by_the_flag_that_is_missing(
    executed: list[tuple[list[str], dict[str, str]]],
    capsys: pytest.CaptureFixture[str],
    flags: list[str],
    said: str,
) -> None:
    assert run(["master", *flags]) == 2

    assert said in capsys.readouterr().err
    assert executed == []


def test_health_has_a_port_of_its_own_wherever_certificates_are_asked() -> None:
    tls = MasterTls(
        enabled=True, mtls=True, cert=Path("c.pem"), key=Path("k.pem"), ca=Path("ca.pem")
    )

    assert with_health_port(MasterSettings()).health_port is None
    assert with_health_port(MasterSettings(tls=tls)).health_port == MTLS_HEALTH_PORT
    assert with_health_port(MasterSettings(tls=tls, health_port=5)).health_port == 5


def test_proxies_are_trusted_only_where_they_are_named(
    executed: list[tuple[list[str], dict[str, str]]],
) -> None:
    for given in (["--trusted-proxy", "10.0.0.7/32", "--trusted-proxy", "fd00::/8"], []):
        with pytest.raises(Replaced):
            run(["master", *given])
    named, default = (
        MasterSettings.model_validate_json(environment[SETTINGS_VARIABLE])
        for _, environment in executed
    )

    assert named.trusted_proxies == [ip_network("10.0.0.7/32"), ip_network("fd00::/8")]
    assert default.trusted_proxies == []


def test_order_and_preemption_are_strict_order_and_nobody_unless_the_flags_say_otherwise(
    executed: list[tuple[list[str], dict[str, str]]],
) -> None:
    flags = ["--max-wait", "8h", "--preempt", "batch", "--canary-after", "2m"]
    for given in (flags, []):
        with pytest.raises(Replaced):
            run(["master", *given])
    chosen, default = (
        MasterSettings.model_validate_json(environment[SETTINGS_VARIABLE])
        for _, environment in executed
    )

    assert (chosen.max_wait, chosen.preempt, chosen.canary_after) == (28_800.0, "batch", 120.0)
    assert (default.max_wait, default.preempt, default.canary_after) == (None, "none", 60.0)


def test_agent_hands_its_settings_on_in_the_environment_alone(
    executed: list[tuple[list[str], dict[str, str]]],
) -> None:
    flags = ["--queues", "live,batch", "--media-root", "/a", "--media-root", "/b", "--slots", "3"]
    flags += ["--output-root", "/c", "--output-root", "/d"]
    flags += ["--allow-network", "10.0.0.0/8", "--allow-network", "fd00::/8"]
    with pytest.raises(Replaced):
        run(["agent", "--register", "--master", "http://m:1", "--api-key", "k", *flags])
    [(arguments, environment)] = executed
    settings = WorkerSettings.model_validate_json(environment[SETTINGS_VARIABLE])

    assert arguments[-1] == "workers"
    assert "k" not in arguments
    assert (settings.master_url, settings.api_key, settings.slots) == ("http://m:1", "k", 3)
    assert settings.queues == ["live", "batch"]
    assert settings.media_roots == [Path("/a"), Path("/b")]
    assert settings.output_roots == [Path("/c"), Path("/d")]
    assert settings.allow_networks == [ip_network("10.0.0.0/8"), ip_network("fd00::/8")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("master: {prot: 1}", "unknown key 'master.prot'"),
        ("master: {1: 2}", "unknown key 'master.1'"),
        ("worker: {tls: {cafile: x}}", "unknown key 'worker.tls.cafile'"),
        ("Master: {}", "unknown key 'Master'"),
        ("master: {port: true}", "master.port"),
        ("master: {max_retries: yes}", "master.max_retries"),
        ("master: {node_timeout: on}", "master.node_timeout"),
        ("master: {node_timeout: .inf}", "master.node_timeout"),
        ("master: {node_timeout: .nan}", "master.node_timeout"),
        ("master: {retention: 999999999h}", "master.retention"),
        ("master: {scheduler_interval: 5 min}", "master.scheduler_interval"),
        ("master: {api_key: ''}", "master.api_key"),
        ("master: {tls: {enabled: true}}", "master.tls"),
        ("worker: {queues: []}", "worker.queues"),
        ("worker: {queues: [LIVE]}", "worker.queues.0"),
        ("worker: {address: ''}", "worker.address"),
        ("worker: {allow_networks: [10.0.0.1/8]}", "worker.allow_networks.0: 10.0.0.1/8 has host"),
        ("worker: {allow_networks: [no]}", "worker.allow_networks.0: is a network such as"),
        ("worker: {allow_networks: [10]}", "worker.allow_networks.0: is a network such as"),
        ("worker: {allow_networks: [inside]}", "give a network such as 10.0.0.0/8"),
        ("worker: {master_url: 'host:8080'}", "worker.master_url"),
        ("master: {port: 1, port: 2}", "'port' is given twice"),
        ("master: {port: 1}\nmaster: {}", "'master' is given twice"),
        ("- master", "is not a mapping"),
    ],
)
def test_a_wrong_setting_is_exit_2_and_names_key_and_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str, said: str
) -> None:
    file = tmp_path / "farm.yaml"
    file.write_text(text)

    assert run(["config", "show", "--config", str(file)]) == 2
    err = capsys.readouterr().err
    assert f"{file}: " in err
    assert said in err
    assert err.count("\n") == 1


def test_a_wrong_flag_is_not_blamed_on_the_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "farm.yaml"
    file.write_text("master: {node_timeout: 2m}")

    assert run(["master", "--config", str(file), "--node-timeout", "soon"]) == 2
    assert str(file) not in capsys.readouterr().err


def test_flags_go_before_environment_before_file_before_defaults(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "farm.yaml"
    file.write_text("worker: {master_url: 'http://file:1', api_key: file, poll_interval: 2m}")
    monkeypatch.setenv("MASTER_URL", "http://environment:1")
    monkeypatch.delenv("FFMPEG_RTMP_API_KEY", raising=False)

    def shown(*flags: str) -> dict[str, list[str]]:
        assert run(["config", "show", "--config", str(file), *flags]) == 0
        lines = [line.split() for line in capsys.readouterr().out.splitlines()]
        return {line[0]: line[1:] for line in lines}

    found = shown()
    assert found["worker.master_url"] == ["http://environment:1", "MASTER_URL"]
    assert found["worker.api_key"] == [MASK, str(file)]
    assert found["worker.poll_interval"] == ["120", str(file)]
    assert found["worker.drain_timeout"] == ["10", "default"]
    assert shown("--master", "http://flag:1")["worker.master_url"] == ["http://flag:1", "flag"]


def test_config_show_masks_keys_and_names_origins(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "farm.yaml"
    file.write_text(
        "master:\n  port: 9000\n  db_path: postgresql://me:pw@db/farm?password=:pw@\n"
        "  tracing: {endpoint: 'http://me:pw@traces:4318'}\n"
    )
    monkeypatch.setenv("MASTER_API_KEY", "very-secret")
    monkeypatch.setenv("MASTER_CA", "/ca.pem")

    assert run(["config", "show", "--config", str(file)]) == 0
    out = capsys.readouterr().out
    lines = {line.split()[0]: line for line in out.splitlines()}
    assert "very-secret" not in out
    assert ":pw@" not in out
    assert lines["master.api_key"].split()[1:] == [MASK, "MASTER_API_KEY"]
    assert lines["master.port"].split()[1:] == ["9000", str(file)]
    assert lines["master.host"].endswith("default")
    assert "MASTER_CA" in lines["worker.tls"]


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


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["master", "--broker", "nonsense"], "master.broker: is no Redis URL"),
        (["agent", "--broker", "amqp://host"], "worker.broker: is no Redis URL"),
        (["master", "--db", "mysql://host/farm"], "master.db: is neither a file nor a URL"),
    ],
)
def test_an_address_of_another_kind_is_refused_by_its_setting(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(arguments) == 2
    assert said in capsys.readouterr().err
