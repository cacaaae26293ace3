"""The commands about jobs and nodes, against a real farm."""

import json
import subprocess
from pathlib import Path

import pytest

from tests.acceptance.farm import FFRTMP, RunningFarm
from tests.waiting import wait_until


def test_submit_and_wait_shows_the_finished_job_and_exits_0(farm: RunningFarm) -> None:
    job = farm.cli(
        *("jobs", "submit", "--scenario", "test-360p30-h264", "--duration", "1s", "--wait"),
        json=True,
    )

    assert job["status"] == "completed"
    assert Path(job["result"]["output"]).stat().st_size == job["result"]["size_bytes"]


def test_relative_paths_mean_the_users_working_folder(farm: RunningFarm) -> None:
    made = farm.submit(scenario="test-360p", duration="1s", to="made.mp4", wait=True)
    again = farm.submit(scenario="480p", input="made.mp4", to="sub/../again.mp4", wait=True)

    assert made["result"]["output"] == str(farm.folder / "made.mp4")
    assert again["parameters"]["input"] == str(farm.folder / "made.mp4")
    assert (farm.folder / "again.mp4").exists()


def test_waiting_for_a_job_that_fails_exits_1_and_says_why(farm: RunningFarm) -> None:
    finished = farm.cli(
        *("jobs", "submit", "--scenario", "360p", "--input", "absent.mp4", "--wait"), check=False
    )

    assert finished.returncode == 1
    assert "failed" in finished.stderr
    assert "absent.mp4" in finished.stderr
    assert "Traceback" not in finished.stderr


def test_follow_prints_the_log_and_nothing_but_the_log_and_the_job(farm: RunningFarm) -> None:
    finished = farm.cli(
        *("jobs", "submit", "--scenario", "test-360p", "--duration", "2s", "--follow")
    )

    assert "libx264" in finished.stdout
    assert '{"status"' not in finished.stdout
    assert "completed" in finished.stdout


def test_logs_come_as_a_text_and_as_json_by_sequence_number(farm: RunningFarm) -> None:
    job = farm.submit(scenario="test-360p", duration="1s", wait=True)
    number = str(job["sequence_number"])

    text = farm.cli("jobs", "logs", number).stdout
    document = farm.cli("jobs", "logs", number, json=True)
    assert "libx264" in text
    assert document["job_id"] == job["id"]
    assert "libx264" in document["logs"]


def test_logs_of_a_job_without_a_log_show_its_error(farm: RunningFarm) -> None:
    job = farm.submit(scenario="360p", input="/nowhere/absent.mp4")
    failed = farm.wait_for(job["id"], "failed")

    shown = farm.cli("jobs", "logs", job["id"]).stdout
    assert failed.error
    assert failed.error in shown


def test_a_job_is_told_by_status_attempts_and_events(farm: RunningFarm) -> None:
    job = farm.submit(scenario="test-360p", duration="1s", wait=True)

    status = farm.cli("jobs", "status", str(job["sequence_number"])).stdout
    attempts = farm.cli("jobs", "attempts", job["id"], json=True)["attempts"]
    events = farm.cli("jobs", "events", job["id"], json=True)["events"]
    assert "result.sha256" in status
    assert [attempt["outcome"] for attempt in attempts] == ["completed"]
    assert events[0]["kind"] == "job.submitted"
    assert events[-1]["kind"] == "job.completed"


def test_a_list_goes_over_pages_and_can_be_filtered(farm: RunningFarm) -> None:
    jobs = [farm.submit(scenario="test-360p", duration="1s", queue="batch") for _ in range(3)]
    for job in jobs:
        farm.wait_for(job["id"], "completed")

    found = farm.cli("jobs", "list", "--queue", "batch", "--limit", "2", json=True)
    every = farm.cli("jobs", "list", "--queue", "batch", "--all", "--since", "1h", json=True)
    none = farm.cli("jobs", "list", "--queue", "batch", "--status", "failed", json=True)
    assert found["count"] == 2
    assert {job["id"] for job in every["jobs"]} >= {job["id"] for job in jobs}
    assert none["jobs"] == []


def test_a_running_job_can_be_canceled_and_retried(farm: RunningFarm) -> None:
    job = farm.submit(scenario="test-1080p", duration="120s")
    farm.wait_for(job["id"], "running")
    canceled = farm.cli("jobs", "cancel", job["id"], json=True)
    retried = farm.cli("jobs", "retry", job["id"], json=True)
    farm.cli("jobs", "cancel", job["id"])

    assert canceled["status"] == "canceled"
    assert retried["status"] in ("pending", "running")
    farm.wait_for(job["id"], "canceled")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["jobs", "status", "999999"], 4),
        (["nodes", "describe", "nobody"], 4),
        (["jobs", "submit", "--scenario", "nonsense"], 2),
        (["--api-key", "wrong", "jobs", "list"], 5),
        (["--master", "http://127.0.0.1:9", "jobs", "list"], 3),
        (["jobs", "list", "--status", "lost"], 2),
    ],
)
def test_each_failure_has_its_exit_code_and_one_line(
    farm: RunningFarm, arguments: list[str], code: int
) -> None:
    finished = farm.cli(*arguments, check=False)

    assert finished.returncode == code
    assert finished.stdout == ""
    assert finished.stderr.count("\n") == 1


def test_a_drained_node_runs_nothing_until_it_is_undrained(farm: RunningFarm) -> None:
    node = farm.client.nodes().nodes[0]
    drained = farm.cli("nodes", "drain", node.address, "--reason", "disk", "--wait", json=True)
    job = farm.submit(scenario="test-360p", duration="1s")
    shown = farm.cli("nodes", "describe", node.name).stdout
    waiting = wait_until(lambda: farm.client.job(job["id"]).waiting_reason, what="a reason")
    farm.cli("nodes", "undrain", node.id)

    assert drained["status"] == "draining"
    assert "disk" in shown
    assert waiting
    farm.wait_for(job["id"], "completed")


def test_interrupting_a_wait_leaves_the_job_alone(farm: RunningFarm) -> None:
    waiting = subprocess.Popen(
        [FFRTMP, "jobs", "submit", "--scenario", "test-720p", "--duration", "1h", "--wait"],
        env=farm.environment(cli=True),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with waiting:
        (job,) = wait_until(lambda: farm.client.jobs(status="running").jobs, what="the job to run")
        waiting.send_signal(2)
        _, said = waiting.communicate(timeout=10)

    assert waiting.returncode == 130
    assert "Traceback" not in said
    assert farm.client.job(job.id).status == "running"
    farm.client.cancel(job.id)


def test_json_is_written_the_same_with_the_flag_before_or_after(farm: RunningFarm) -> None:
    before = farm.cli("--output", "json", "nodes", "list").stdout
    after = farm.cli("nodes", "list", "--output", "json").stdout

    ids = [[node["id"] for node in json.loads(text)["nodes"]] for text in (before, after)]
    assert ids[0] == ids[1]
