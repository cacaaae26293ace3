"""The life of jobs and nodes over HTTP: every route that changes something, and what it answers."""

from typing import Any

import pytest

from tests.integration import test_api
from tests.integration.test_api import Api, refusal

api = test_api.api

SHA = "a" * 64
JOB_FIELDS = {
    *("id", "sequence_number", "scenario", "owner", "queue", "priority", "engine", "status"),
    "progress",
    *(
        "fps",
        "speed",
        "bits_per_second",
        "dropped_frames",
        "parameters",
        "node_id",
        "node_name",
        "attempt",
        "retry_count",
    ),
    *("max_retries", "retry_at", "created_at", "started_at", "completed_at", "error"),
    *("failure_reason", "waiting_reason", "waiting", "result", "trace_id"),
}
NODE_FIELDS = {
    *("id", "name", "address", "type", "status", "slots", "slots_busy", "queues", "capabilities"),
    *("hardware", "load", "last_heartbeat", "registered_at", "running", "version", "drain_reason"),
    *("clock_skew_seconds", "slots_lost", "epoch", "devices", "reserve_live", "revoked_at"),
}


def leased(api: Api, node: dict[str, Any], number: int = 1) -> dict[str, Any]:
    """The body that a report of this node's claim begins with."""
    lease = api.claim(node, f"claim-{number:0>16}").json()
    return {
        "job_id": lease["job_id"],
        "node_id": node["id"],
        "attempt": lease["attempt"],
        "lease": lease["lease"],
    }


def commit(api: Api, node: dict[str, Any], held: dict[str, Any]) -> int:
    path = f"/attempts/{held['job_id']}/{held['attempt']}/commit"
    body = {"lease": held["lease"], "size": 7, "sha256": SHA}
    return api.post(path, body, headers=node["headers"]).status_code


def test_a_job_goes_from_submit_to_result_with_every_documented_field(api: Api) -> None:
    submitted = api.post("/jobs", {"scenario": "720p", "max_retries": 1, "queue": "live"}).json()
    assert set(submitted) == JOB_FIELDS
    node = api.node()
    held = leased(api, node)
    beat = {
        "epoch": 1,
        "seq": 1,
        "attempts": [
            {"job_id": held["job_id"], "attempt": 1, "progress": 0.5, "fps": 25.0, "speed": 2}
            | {"bits_per_second": 800_000, "dropped_frames": 3}
        ],
    }
    answer = api.post(f"/nodes/{node['id']}/heartbeat", beat, headers=node["headers"])
    assert answer.json()["attempts"][0]["order"] == "go_on"
    running = api.http.get(f"/jobs/{held['job_id']}").json()
    assert (running["status"], running["progress"], running["fps"]) == ("running", 0.5, 25.0)
    assert (running["bits_per_second"], running["dropped_frames"]) == (800_000, 3)
    (attempt,) = api.http.get("/jobs/1/attempts").json()["attempts"]
    assert (attempt["bits_per_second"], attempt["dropped_frames"]) == (800_000, 3)
    assert (running["node_id"], running["node_name"]) == (node["id"], "east")
    assert commit(api, node, held) == 200
    assert refusal(api.post("/jobs/1/cancel")) == (409, None)
    said = held | {"status": "completed", "size": 7, "sha256": SHA, "argv": ["ffmpeg", "-y"]}
    said |= {"logs": "all went well\n", "metrics": {"output": "/out/a.mp4", "duration_seconds": 2}}

    first = api.post("/results", said, headers=node["headers"])
    again = api.post("/results", said, headers=node["headers"])

    assert first.status_code == again.status_code == 200
    done = api.http.get("/jobs/1").json()
    assert (done["status"], done["progress"], done["attempt"]) == ("completed", 1.0, 1)
    assert done["started_at"]
    assert done["completed_at"]
    assert done["result"] == {
        "output": "/out/a.mp4",
        "duration_seconds": 2,
        "sha256": SHA,
        "size_bytes": 7,
    }
    [attempt] = api.http.get("/jobs/1/attempts").json()["attempts"]
    assert (attempt["number"], attempt["outcome"]) == (1, "completed")
    assert attempt["argv"] == ["ffmpeg", "-y"]
    kinds = [event["kind"] for event in api.http.get("/jobs/1/events").json()["events"]]
    assert kinds == ["job.submitted", "job.claimed", "job.committing", "job.completed"]
    assert api.http.get("/jobs/1/logs").json()["logs"] == "all went well\n"
    other = api.post("/results", said | {"sha256": "b" * 64}, headers=node["headers"])
    assert (other.status_code, other.json()["error"]["code"]) == (409, "hash_conflict")


def test_only_a_pending_job_can_be_moved_and_both_answers_say_where_it_is(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"})

    moved = api.http.patch("/jobs/1", json={"queue": "live"}).json()
    raised = api.http.patch("/jobs/1", json={"priority": "high"}).json()
    assert (moved["queue"], moved["priority"]) == ("live", "medium")
    assert (raised["queue"], raised["priority"]) == ("live", "high")

    api.claim(api.node())
    late = api.http.patch("/jobs/1", json={"queue": "batch"})
    assert (late.status_code, late.json()["error"]["code"]) == (409, "job_state")


@pytest.mark.parametrize(
    ("body", "field"),
    [({}, "body"), ({"queue": "x"}, "queue"), ({"priority": "HIGH"}, "priority"), ({"a": 1}, "a")],
)
def test_a_wrong_move_is_refused_by_field(api: Api, body: dict[str, Any], field: str) -> None:
    api.post("/jobs", {"scenario": "720p"})

    assert refusal(api.http.patch("/jobs/1", json=body)) == (422, field)


def test_cancel_and_retry_do_once_what_they_are_asked_twice(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"})

    assert [api.post("/jobs/1/cancel").json()["status"] for _ in range(2)] == ["canceled"] * 2
    assert [api.post("/jobs/1/retry").json()["status"] for _ in range(2)] == ["pending"] * 2
    api.claim(api.node())
    assert api.post("/jobs/1/retry").status_code == 409


def test_a_released_attempt_costs_no_retry(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"})
    node = api.node()
    held = leased(api, node)

    path = f"/attempts/{held['job_id']}/1/release"
    body = {"lease": held["lease"], "reason": "the agent stops"}
    assert api.post(path, body, headers=node["headers"]).status_code == 204

    job = api.http.get("/jobs/1").json()
    assert (job["status"], job["attempt"], job["retry_count"]) == ("pending", 1, 0)


def test_a_busy_node_cannot_be_removed_and_a_drained_one_gets_nothing(api: Api) -> None:
    api.post("/jobs/batch", {"jobs": [{"scenario": "720p"}] * 2})
    node = api.node()
    held = leased(api, node)
    shown = api.http.get("/nodes/east").json()
    assert set(shown) == NODE_FIELDS
    assert (shown["status"], shown["slots_busy"]) == ("busy", 1)
    assert shown["running"][0]["sequence_number"] == 1
    refused = api.http.delete("/nodes/east")
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "node_busy")

    drained = api.post("/nodes/east/drain", {"reason": "new disk"}).json()
    assert (drained["status"], drained["drain_reason"]) == ("draining", "new disk")
    failed = held | {"status": "failed", "failure_reason": "bad_input", "error": "no video"}
    assert api.post("/results", failed, headers=node["headers"]).json()["status"] == "failed"
    assert api.claim(node, "e" * 16).status_code in (204, 409)
    assert api.post("/nodes/east/undrain").json()["status"] == "available"

    assert api.http.delete("/nodes/east").status_code == 204
    assert api.http.get("/nodes").json() == {"nodes": [], "count": 0}
    assert api.http.get("/nodes/east").status_code == 404


def test_queues_count_what_waits_and_runs_by_rank(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p", "queue": "live", "priority": "high"})
    api.claim(api.node())
    api.post("/jobs", {"scenario": "720p", "queue": "batch", "priority": "low"})
    api.world.clock.pass_seconds(30)

    board = api.http.get("/queues").json()

    for_any = [line for line in board["queues"] if line["hardware"] == "auto"]
    assert [line["rank"] for line in for_any] == list(range(9))
    first, *_, last = for_any
    assert (first["queue"], first["priority"], first["running"]) == ("live", "high", 1)
    assert (last["queue"], last["priority"], last["waiting"]) == ("batch", "low", 1)
    assert last["oldest_wait_seconds"] == 30
    assert (board["slots"], board["slots_busy"]) == (1, 1)


def test_an_accepted_batch_answers_its_jobs_in_order(api: Api) -> None:
    answer = api.post("/jobs/batch", {"jobs": [{"scenario": "720p"}, {"scenario": "480p"}]})

    assert answer.status_code == 201
    found = answer.json()
    assert [job["scenario"] for job in found["jobs"]] == ["720p", "480p"]
    assert [job["sequence_number"] for job in found["jobs"]] == [1, 2]
    assert found["count"] == 2


def test_times_are_rfc_3339_in_utc(api: Api) -> None:
    created = api.post("/jobs", {"scenario": "720p"}).json()["created_at"]

    assert created == "2026-01-01T00:00:00Z"
