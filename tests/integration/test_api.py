"""The API over real HTTP: strict in what it takes, clear in what it refuses."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from ffrtmp.api.app import create_app
from ffrtmp.config import MasterSettings
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.metrics import master_metrics
from ffrtmp.store.engine import Store
from tests.databases import new_database
from tests.fakes import FakeWorld

KEY = "the right key"


@dataclass
class Api:
    """A served farm with a client that has the key."""

    http: httpx.Client
    world: FakeWorld

    def post(self, path: str, body: Any = None, **more: Any) -> httpx.Response:
        return self.http.post(path, json=body, **more)

    def node(self, address: str = "east") -> dict[str, Any]:
        """A registered node, with the headers that speak for it."""
        answer = self.post("/nodes/register", {"address": address}).json()
        answer["headers"] = {"Authorization": f"Bearer {answer['node_token']}"}
        return dict(answer)

    def claim(self, node: dict[str, Any], claim_id: str = "c" * 16) -> httpx.Response:
        body = {"node_id": node["id"], "epoch": node["epoch"], "claim_id": claim_id}
        return self.post("/claims", body, headers=node["headers"])


@pytest.fixture
def api(tmp_path: Path) -> Iterator[Api]:
    world = FakeWorld.over(Store(new_database(tmp_path / "farm.db")), FarmPolicy())
    settings = MasterSettings(broker="redis://localhost", api_key=KEY)
    app = create_app(world.farm, settings, master_metrics(world.farm.counts.last))
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="error"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    headers = {"Authorization": f"Bearer {KEY}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=headers) as http:
        yield Api(http, world)
    server.should_exit = True
    thread.join()
    world.farm.close()


def refusal(answer: httpx.Response) -> tuple[int, str | None]:
    return answer.status_code, answer.json()["error"].get("field")


def test_refused_scenario_lists_the_known_tokens(api: Api) -> None:
    message = api.post("/jobs", {"scenario": "nonsense"}).json()["error"]["message"]

    for token in ("4K", "2160p", "1440p", "1080p", "720p", "480p", "360p", "h265", "av1", "live"):
        assert token in message


def test_body_that_is_not_json_is_refused(api: Api) -> None:
    answer = api.http.post("/jobs", content=b"{", headers={"Content-Type": "application/json"})

    assert answer.status_code == 422
    assert "error" in answer.json()


def test_one_bad_job_of_a_batch_refuses_them_all_and_names_it(api: Api) -> None:
    good, bad = {"scenario": "720p"}, {"scenario": "720p-h264", "parameters": {"codec": "av1"}}

    assert refusal(api.post("/jobs/batch", {"jobs": [good, bad]})) == (
        422,
        "jobs.1.parameters.codec",
    )
    assert api.http.get("/jobs").json()["count"] == 0


def test_list_is_paged_by_cursor_without_gap_or_repeat(api: Api) -> None:
    api.post("/jobs/batch", {"jobs": [{"scenario": "720p"}] * 5})
    seen: list[int] = []
    cursor: str | None = None
    while True:
        more = {"cursor": cursor} if cursor else {}
        page = api.http.get("/jobs", params={"limit": 2, **more}).json()
        seen += [job["sequence_number"] for job in page["jobs"]]
        cursor = page["next"]
        if cursor is None:
            break

    assert seen == [5, 4, 3, 2, 1]


NO_REFERENCES = [
    *("1e3", "-1", "+1", "%2B1", "1abc", "0", "01", "1.0", "1_0", " 1", "99", "None", "%D9%A1"),
    *("9" * 18, "9" * 19, "9" * 200, "00000000-0000-7000-8000-00000000000", "%00"),
    "ABCDEF00-0000-7000-8000-000000000001",
]


@pytest.mark.parametrize("reference", NO_REFERENCES)
def test_what_is_no_job_reference_is_not_found(api: Api, reference: str) -> None:
    api.post("/jobs", {"scenario": "720p"})

    assert api.http.get(f"/jobs/{reference}").status_code == 404


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", "Bearer wrong")],
        [("Authorization", "Bearer")],
        [("Authorization", f"Basic {KEY}")],
        [("Authorization", f"Bearer {KEY}"), ("Authorization", f"Bearer {KEY}")],
    ],
)
def test_without_the_one_right_key_nobody_gets_in(api: Api, headers: list[tuple[str, str]]) -> None:
    answer = httpx.get(f"{api.http.base_url}/jobs", headers=headers, params={"api_key": KEY})

    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_health_and_ready_need_no_key(api: Api) -> None:
    assert httpx.get(f"{api.http.base_url}/health").json()["status"] == "ok"
    assert httpx.get(f"{api.http.base_url}/ready").status_code == 200


def test_ready_names_the_broker_that_is_away(api: Api) -> None:
    api.world.bell.is_up = False

    answer = api.http.get("/ready")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "2"
    assert "broker" in answer.json()["error"]["message"]


def test_same_idempotency_key_returns_the_first_job_and_another_body_is_refused(api: Api) -> None:
    headers = {"Idempotency-Key": "k-1"}
    first = api.post("/jobs", {"scenario": "720p"}, headers=headers).json()

    again = api.post("/jobs", {"scenario": "720p"}, headers=headers)
    other = api.post("/jobs", {"scenario": "480p"}, headers=headers)

    assert again.json()["id"] == first["id"]
    assert refusal(other) == (422, "Idempotency-Key")


def test_second_identity_at_an_address_is_a_conflict_in_the_documented_words(api: Api) -> None:
    api.node("10.1.1.1")

    answer = api.post("/nodes/register", {"address": "10.1.1.1"})

    assert answer.status_code == 409
    message = answer.json()["error"]["message"]
    assert message == "Node with address 10.1.1.1 is already registered"


def test_saved_identity_registers_as_the_same_node(api: Api) -> None:
    first = api.node()
    again = api.post(
        "/nodes/register",
        {"address": "east", "node_id": first["id"], "node_token": first["node_token"]},
    )

    assert again.status_code == 200
    assert again.json()["id"] == first["id"]
    assert again.json()["epoch"] == first["epoch"] + 1


def test_token_of_one_node_cannot_speak_for_another_nor_for_people(api: Api) -> None:
    east, west = api.node("east"), api.node("west")
    west["headers"] = east["headers"]

    assert api.claim(west).status_code == 403
    assert api.http.get("/jobs", headers=east["headers"]).status_code == 403


def test_claim_with_nothing_to_do_is_204_and_then_gives_a_lease_once_per_claim_id(
    api: Api,
) -> None:
    node = api.node()
    assert api.claim(node).status_code == 204
    api.post("/jobs", {"scenario": "720p"})

    first, again = api.claim(node, "d" * 16), api.claim(node, "d" * 16)

    assert first.status_code == again.status_code == 200
    assert first.json()["lease"] == again.json()["lease"]


def test_result_with_an_impossible_status_or_without_a_reason_changes_nothing(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"})
    node = api.node()
    lease = api.claim(node).json()
    said = {
        "job_id": lease["job_id"],
        "node_id": node["id"],
        "attempt": 1,
        "lease": lease["lease"],
    }

    banana = api.post("/results", said | {"status": "banana"}, headers=node["headers"])
    silent = api.post("/results", said | {"status": "failed"}, headers=node["headers"])

    assert refusal(banana) == (422, "status")
    assert silent.status_code == 422
    assert api.http.get("/jobs/1").json()["status"] == "running"


def test_stale_lease_is_a_conflict_that_says_so(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"})
    node = api.node()
    lease = api.claim(node).json()
    api.post("/jobs/1/cancel")

    body = {"lease": lease["lease"], "size": 1, "sha256": "a" * 64}
    path = f"/attempts/{lease['job_id']}/1/commit"
    answer = api.post(path, body, headers=node["headers"])

    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "stale_lease"


def test_pending_job_says_why_it_waits(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"})
    assert "no node" in api.http.get("/jobs/1").json()["waiting_reason"]

    api.node()
    api.post("/jobs", {"scenario": "720p", "parameters": {"hardware": "nvenc"}})

    reason = api.http.get("/jobs/2").json()["waiting_reason"]
    assert "no node at work can encode h264 with hardware nvenc" in reason


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nowhere", 404, "not_found"),
        ("DELETE", "/jobs", 405, "method_not_allowed"),
        ("GET", "/jobs/7", 404, "not_found"),
        ("POST", "/jobs/7/cancel", 404, "not_found"),
        ("GET", "/nodes/nobody", 404, "not_found"),
    ],
)
def test_every_refusal_has_the_same_shape(
    api: Api, method: str, path: str, status: int, code: str
) -> None:
    answer = api.http.request(method, path)

    assert answer.status_code == status
    assert set(answer.json()) == {"error"}
    assert answer.json()["error"]["code"] == code
    assert answer.json()["error"]["message"]


def test_database_that_does_not_answer_is_503_with_a_time_to_come_back(
    api: Api, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "farm.db") as database:
        database.execute("ALTER TABLE jobs RENAME TO elsewhere")
    database.close()

    for answer in (api.post("/jobs", {"scenario": "720p"}), api.http.get("/jobs")):
        assert answer.status_code == 503
        assert answer.headers["Retry-After"] == "2"
        assert answer.json()["error"]["code"] == "unavailable"


def test_unexpected_error_is_500_in_the_same_shape_and_tells_nothing_else(
    api: Api, tmp_path: Path
) -> None:
    api.post("/jobs", {"scenario": "720p"})
    with sqlite3.connect(tmp_path / "farm.db") as database:
        database.execute("UPDATE jobs SET status = 'secret'")
    database.close()

    answer = api.http.get("/jobs/1")

    assert answer.status_code == 500
    assert answer.json()["error"]["code"] == "internal"
    assert "secret" not in answer.text


def test_too_large_a_body_is_refused_whether_its_length_is_declared_or_not(api: Api) -> None:
    def chunks() -> Iterator[bytes]:
        yield b'{"scenario": "'
        for _ in range(10):
            yield b"x" * (1 << 20)

    declared = api.http.post("/jobs", content=b"x" * (9 << 20))
    streamed = api.http.post(
        "/jobs", content=chunks(), headers={"Content-Type": "application/json"}
    )

    for answer in (declared, streamed):
        assert answer.status_code == 413
        assert answer.json()["error"]["code"] == "too_large"


def test_following_an_earlier_attempt_is_refused(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"})

    assert refusal(api.http.get("/jobs/1/logs?follow=1&attempt=1")) == (422, "follow")


def test_followed_log_ends_with_the_job(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"})
    node = api.node()
    lease = api.claim(node).json()
    path = f"/attempts/{lease['job_id']}/1/logs"
    chunk = {"lease": lease["lease"], "offset": 0, "text": "frame=1\n"}
    assert api.post(path, chunk, headers=node["headers"]).status_code == 204
    api.post("/jobs/1/cancel")

    with api.http.stream("GET", "/jobs/1/logs", params={"follow": 1}) as answer:
        text = "".join(answer.iter_text())

    assert "data: frame=1" in text
    assert 'event: end\ndata: {"status": "canceled"}' in text
