"""Pauses, waits and devices as the command line shows them, against a real farm."""

from collections.abc import Iterator
from typing import Any

import pytest

from ffrtmp.domain.ranking import Priority, Queue
from tests.acceptance.farm import RunningFarm
from tests.waiting import wait_until


@pytest.fixture
def running(farm: RunningFarm) -> Iterator[dict[str, Any]]:
    """A job that runs until the test ends."""
    job = farm.submit(scenario="test-720p", duration="1h", queue="batch")
    farm.wait_for(job["id"], "running")
    yield job
    farm.cli("jobs", "cancel", job["id"])


def test_queues_show_all_nine_ranks_best_first(farm: RunningFarm) -> None:
    rows = farm.cli("queues", json=True)["queues"]
    shown = farm.cli("queues").stdout.splitlines()

    every = [(queue, priority) for queue in Queue for priority in Priority]
    assert [(r["queue"], r["priority"]) for r in rows if r["hardware"] == "auto"] == every
    assert {r["hardware"] for r in rows} == {"auto", "cpu", "gpu"}
    assert len(shown) == 1 + len(every) + 1
    assert shown[-1].split()[1] == "0/2"


def test_nothing_of_a_paused_queue_starts_until_it_is_resumed(farm: RunningFarm) -> None:
    paused = farm.cli("queues", "pause", "batch", "--reason", "night", json=True)["paused"]
    held = farm.submit(scenario="test-360p", duration="1s", queue="batch")
    other = farm.submit(scenario="test-360p", duration="1s", wait=True)
    status = farm.cli("jobs", "status", held["id"]).stdout.splitlines()
    table = farm.cli("queues").stdout
    farm.cli("queues", "resume", "batch")

    assert [(p["queue"], p["reason"]) for p in paused] == [("batch", "night")]
    assert other["status"] == "completed"
    assert status[1].split() == ["status", "pending"]
    assert "paused" in status[2]
    assert "night" in status[2]
    assert table.count("paused: night") == 3
    farm.wait_for(held["id"], "completed")


def test_a_paused_job_keeps_its_attempt_and_goes_on(
    farm: RunningFarm, running: dict[str, Any]
) -> None:
    paused = farm.cli("jobs", "pause", running["id"], json=True)
    listed = farm.cli("jobs", "list", "--status", "paused", json=True)["jobs"]
    (suspended,) = farm.cli("jobs", "attempts", running["id"], json=True)["attempts"]
    farm.cli("jobs", "resume", running["id"])
    resumed = farm.wait_for(running["id"], "running")

    assert paused["status"] == "paused"
    assert [job["id"] for job in listed] == [running["id"]]
    assert (suspended["pause"], suspended["device"]) == ("operator", "cpu")
    assert resumed.attempt == suspended["number"]


def test_a_drain_that_waits_too_long_exits_1_and_names_the_paused_job(
    farm: RunningFarm, running: dict[str, Any]
) -> None:
    node = farm.client.nodes().nodes[0]
    farm.cli("jobs", "pause", running["id"])
    drained = farm.cli("nodes", "drain", node.name, "--wait", "--timeout", "1s", check=False)
    farm.cli("nodes", "undrain", node.name)

    assert drained.returncode == 1
    assert drained.stdout == ""
    last = drained.stderr.splitlines()[-1]
    assert f"job {running['sequence_number']} (paused by an operator" in last


def test_a_waiting_job_says_its_place_and_a_node_its_devices(
    farm: RunningFarm, running: dict[str, Any]
) -> None:
    other = farm.submit(scenario="test-720p", duration="1h", queue="batch")
    farm.wait_for(other["id"], "running")
    waiting = farm.submit(scenario="test-360p", duration="1s", queue="batch", priority="low")
    status = farm.cli("jobs", "status", waiting["id"]).stdout
    node = wait_until(
        lambda: next((n for n in farm.client.nodes().nodes if n.slots_busy == 2), None),
        what="both slots to be busy",
    )
    described = farm.cli("nodes", "describe", node.name).stdout
    for job in (waiting, other):
        farm.cli("jobs", "cancel", job["id"])

    facts = dict(line.split(None, 1) for line in status.splitlines())
    assert facts["waiting.position"] == "1"
    assert facts["waiting.slots"] == "2"
    assert facts["waiting.slots_free"] == "0"
    devices = [line for line in described.splitlines() if line.startswith("devices.cpu ")]
    assert "2/2 busy" in devices[0]
