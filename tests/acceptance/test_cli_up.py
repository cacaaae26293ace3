"""``ffrtmp up`` as a user meets it."""

import json
import re
import signal
import socket
import stat
import urllib.error
import urllib.request
from collections.abc import Callable

import httpx

from tests.acceptance.farm import RunningFarm
from tests.waiting import wait_until

StartFarm = Callable[..., RunningFarm]


def test_a_ready_farm_has_said_so_and_has_a_private_farm_json(farm: RunningFarm) -> None:
    file = farm.data_dir / "farm.json"
    facts = json.loads(file.read_text())

    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert set(facts) >= {
        "api_url",
        "broker_url",
        "flower_url",
        "flower_user",
        "flower_password",
        "metrics_urls",
        "api_key",
        "processes",
    }
    assert facts["broker_url"].startswith("redis://")
    assert f"ready api={facts['api_url']}" in farm.console.read_text()
    assert facts["api_key"] in (farm.data_dir / "api_key").read_text()


def test_no_process_of_a_farm_carries_a_key_in_its_arguments(farm: RunningFarm) -> None:
    secrets = (farm.facts["api_key"], farm.facts["flower_password"])
    arguments = [" ".join(process.cmdline()) for process in farm.family.running()]

    assert arguments
    assert not [line for line in arguments for secret in secrets if secret in line]


def test_flower_asks_for_the_password_that_farm_json_has(farm: RunningFarm) -> None:
    url = farm.facts["flower_url"]
    assert wait_until(lambda: _status(url), what="flower") == 401

    assert "Flower" in _flower(farm, "/")


def test_flower_shows_the_farms_queues_and_what_waits_in_them(farm: RunningFarm) -> None:
    (node,) = farm.client.nodes().nodes
    farm.cli("nodes", "drain", node.id, "--wait")
    jobs = [
        farm.submit(scenario="test-360p", duration="0.1s", queue="batch", priority="low")
        for _ in range(3)
    ]
    page = re.sub(r"<[^>]*>|\s", " ", _flower(farm, "/broker"))
    farm.cli("nodes", "undrain", node.id)
    for job in jobs:
        farm.wait_for(job["id"], "completed")

    assert dict(re.findall(r"\b(live|default|batch|control) +(\d+)", page)) == {
        "live": "0",
        "default": "0",
        "batch": "3",
        "control": "0",
    }


def test_metrics_are_where_farm_json_says(farm: RunningFarm) -> None:
    statuses = {name: _status(url) for name, url in farm.facts["metrics_urls"].items()}

    assert statuses == {"master": 200, "agent-1": 200}


def test_a_second_farm_in_the_same_folder_is_refused_in_one_line(farm: RunningFarm) -> None:
    second = farm.cli("up", "--data-dir", str(farm.data_dir), "--port", "0", check=False)

    assert second.returncode == 1
    assert second.stderr.count("\n") == 1
    assert "another farm runs in" in second.stderr
    assert (farm.data_dir / "farm.json").exists()


def test_a_taken_port_is_refused_in_one_line(farm: RunningFarm) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        refused = farm.cli("up", "--data-dir", "other", "--port", port, check=False)

    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert f"127.0.0.1:{port}" in refused.stderr


def test_a_part_that_dies_is_restarted_and_farm_json_follows(start_farm: StartFarm) -> None:
    farm = start_farm()
    old = farm.kill("control")

    assert farm.wait_restarted("control", old=old) != old
    assert farm.submit(scenario="test-360p", duration="1s", wait=True)["status"] == "completed"


def test_jobs_keys_and_nodes_survive_a_restart_on_the_same_folder(start_farm: StartFarm) -> None:
    farm = start_farm("--workers", "2", "--slots", "1")
    key = farm.api_key
    job = farm.submit(scenario="test-360p", duration="1s", wait=True)
    nodes = {node.id for node in farm.client.nodes().nodes}
    farm.stop()
    farm.start()

    assert farm.api_key == key
    assert farm.client.job(job["id"]).status == "completed"
    assert {node.id for node in farm.client.nodes().nodes} == nodes
    assert len(nodes) == 2


def test_sigterm_stops_a_farm_like_ctrl_c_and_removes_farm_json(start_farm: StartFarm) -> None:
    farm = start_farm()
    farm.stop(signal.SIGTERM)

    assert not (farm.data_dir / "farm.json").exists()


def test_a_second_ctrl_c_stops_at_once_in_the_middle_of_an_encode(start_farm: StartFarm) -> None:
    farm = start_farm("--slots", "1")
    farm.submit(scenario="test-1080p", duration="120s")
    wait_until(farm.ffmpegs, what="an ffmpeg")
    farm.up.send_signal(signal.SIGINT)
    wait_until(lambda: "stopping" in farm.console.read_text(), what="the stop to begin")
    farm.up.send_signal(signal.SIGINT)

    assert farm.up.wait(5) is not None
    farm.family.assert_gone()


def _flower(farm: RunningFarm, path: str) -> str:
    """A page of Flower, with the login of farm.json."""
    login = (farm.facts["flower_user"], farm.facts["flower_password"])
    answer = httpx.get(farm.facts["flower_url"] + path, auth=login)
    return answer.raise_for_status().text


def _status(url: str) -> int | None:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return int(answer.status)
    except urllib.error.HTTPError as error:
        with error:
            return error.code
    except OSError:
        return None
