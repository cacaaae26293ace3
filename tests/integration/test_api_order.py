"""Devices, pauses and queues over HTTP."""

from typing import Any

import pytest

from tests.integration import test_api
from tests.integration.test_api import Api, refusal

api = test_api.api

GPU = {"id": "gpu0", "name": "NVIDIA L4", "slots": 2, "capabilities": ["nvenc:h264", "gpu:h264"]}
CPU = {"id": "cpu", "slots": 3, "capabilities": ["cpu:h264", "auto:h264"]}


def registered(api: Api, **said: Any) -> dict[str, Any]:
    body = {"address": "east", "devices": [CPU, GPU], "reserve_live": 1} | said
    answer = api.post("/nodes/register", body)
    assert answer.status_code == 201, answer.text
    node = dict(answer.json())
    return node | {"headers": {"Authorization": f"Bearer {node['node_token']}"}}


def claim(api: Api, node: dict[str, Any], device: str, **said: Any) -> Any:
    body = {"node_id": node["id"], "epoch": 1, "claim_id": "c" * 16, "device": device} | said
    return api.post("/claims", body, headers=node["headers"])


def test_node_shows_its_devices_and_the_sum_of_their_slots(api: Api) -> None:
    registered(api)

    node = api.http.get("/nodes/east").json()
    assert (node["slots"], node["reserve_live"]) == (5, 1)
    assert node["capabilities"] == ["auto:h264", "cpu:h264", "gpu:h264", "nvenc:h264"]
    assert node["devices"][1] == GPU | {"slots_busy": 0, "set_aside": None}


def test_claim_answers_the_device_and_the_kind_of_encoder(api: Api) -> None:
    node = registered(api)
    api.post("/jobs", {"scenario": "720p-h264", "parameters": {"hardware": "gpu"}})

    assert claim(api, node, "cpu").status_code == 204
    lease = claim(api, node, "gpu0", claim_id="d" * 16).json()
    assert (lease["device"], lease["hardware"]) == ("gpu0", "nvenc")
    (attempt,) = api.http.get("/jobs/1/attempts").json()["attempts"]
    assert (attempt["device"], attempt["hardware"]) == ("gpu0", "nvenc")


@pytest.mark.parametrize(
    ("devices", "field"),
    [
        ([CPU, CPU], "devices"),
        ([CPU | {"id": "tpu0"}], "devices.0.id"),
        ([CPU | {"slots": -1}], "devices.0.slots"),
    ],
)
def test_devices_that_cannot_be_are_refused_by_name(
    api: Api, devices: list[dict[str, Any]], field: str
) -> None:
    answer = api.post("/nodes/register", {"address": "east", "devices": devices})

    assert answer.status_code == 422
    assert field in answer.text


def test_claim_for_a_device_that_is_not_there_is_refused(api: Api) -> None:
    node = registered(api)

    assert refusal(claim(api, node, "gpu7")) == (422, "device")


def test_job_is_paused_and_resumed_and_its_node_is_told(api: Api) -> None:
    node = registered(api)
    api.post("/jobs", {"scenario": "720p-h264"})
    lease = claim(api, node, "cpu").json()
    listed = [{"job_id": lease["job_id"], "attempt": 1}]
    beat = {"epoch": 1, "attempts": listed}
    path = f"/nodes/{node['id']}/heartbeat"

    paused = api.post("/jobs/1/pause").json()
    told = api.post(path, beat | {"seq": 1}, headers=node["headers"]).json()
    resumed = api.post("/jobs/1/resume").json()
    told_again = api.post(path, beat | {"seq": 2}, headers=node["headers"]).json()

    assert (paused["status"], paused["waiting"]) == ("paused", None)
    assert "paused by an operator" in paused["waiting_reason"]
    assert [one["order"] for one in told["attempts"]] == ["pause"]
    assert resumed["status"] == "running"
    assert [one["order"] for one in told_again["attempts"]] == ["go_on"]


def test_job_that_waits_cannot_be_paused(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"})

    answer = api.post("/jobs/1/pause")
    assert (answer.status_code, answer.json()["error"]["code"]) == (409, "job_state")


def test_pending_job_says_its_place_in_numbers(api: Api) -> None:
    registered(api)
    for _ in range(2):
        api.post("/jobs", {"scenario": "720p-h264", "queue": "batch"})

    assert api.http.get("/jobs/2").json()["waiting"] == {
        "rank": 7,
        "position": 2,
        "jobs_ahead": 1,
        "slots": 3,
        "slots_free": 2,
        "estimated_start_seconds": 0.0,
    }


def test_paused_queue_starts_nothing_and_shows_why(api: Api) -> None:
    node = registered(api)
    api.post("/jobs", {"scenario": "720p-h264", "queue": "batch"})
    board = api.post("/queues/batch/pause", {"reason": "new disks"}).json()
    nothing = claim(api, node, "cpu")
    open_again = api.post("/queues/batch/resume").json()

    assert [(one["queue"], one["reason"]) for one in board["paused"]] == [("batch", "new disks")]
    assert nothing.status_code == 204
    assert open_again["paused"] == []
    assert claim(api, node, "cpu", claim_id="d" * 16).status_code == 200


def test_unknown_queue_is_refused(api: Api) -> None:
    assert api.post("/queues/best/pause").status_code == 422


def test_queues_count_per_rank_and_hardware_with_the_slots_that_serve_them(api: Api) -> None:
    registered(api)
    for hardware in ("auto", "cpu", "gpu", "nvenc"):
        parameters = {"hardware": hardware}
        api.post("/jobs", {"scenario": "720p-h264", "queue": "live", "parameters": parameters})

    lines = [line for line in api.http.get("/queues").json()["queues"] if line["rank"] == 1]
    assert [(one["hardware"], one["waiting"], one["slots"]) for one in lines] == [
        ("auto", 1, 5),
        ("cpu", 1, 3),
        ("gpu", 2, 2),
    ]
