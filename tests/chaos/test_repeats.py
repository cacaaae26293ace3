"""What is said twice, too late or wrongly changes nothing: over HTTP, down to the last row."""

import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest

from ffrtmp.domain.attempt import Order
from ffrtmp.domain.job import JobStatus
from tests.chaos.farm import ChaosFarm
from tests.integration.agents import KEY

SHA = "a" * 64
TABLES = ("jobs", "attempts", "attempt_logs", "nodes", "events", "submissions")


@pytest.fixture(autouse=True)
def quiet(module_farm: ChaosFarm) -> None:
    """Without passes nothing changes by itself."""
    module_farm.beat.kill()
    module_farm.control.kill()


class Speaker:
    """Requests to the API, as a node of the test's own where it has registered."""

    def __init__(self, farm: ChaosFarm) -> None:
        self._farm = farm
        self.http = httpx.Client(base_url=farm.url, timeout=30)
        self.node_id, self.token = str(uuid.uuid4()), uuid.uuid4().hex
        self.epoch = 0

    def ask(self, method: str, path: str, body: Any = None, *, key: str = KEY) -> httpx.Response:
        return self.http.request(
            method, path, json=body, headers={"Authorization": f"Bearer {key}"}
        )

    def say(self, path: str, body: Any) -> httpx.Response:
        return self.ask("POST", path, body, key=self.token)

    def registration(self) -> dict[str, Any]:
        return {
            "address": self.node_id,
            "node_id": self.node_id,
            "node_token": self.token,
            "registration_id": uuid.uuid4().hex,
        }

    def registered(self) -> "Speaker":
        self.epoch = self.ask("POST", "/nodes/register", self.registration()).json()["epoch"]
        return self

    def claimed(self) -> dict[str, Any]:
        """What every report of a new job's first attempt says."""
        assert self.ask("POST", "/jobs", {"scenario": "720p"}).status_code == 201
        said = {"node_id": self.node_id, "epoch": self.epoch, "claim_id": uuid.uuid4().hex}
        lease = self.say("/claims", said).json()
        kept = {name: lease[name] for name in ("job_id", "attempt", "lease")}
        return kept | {"node_id": self.node_id}

    def beat(self, seq: int, held: dict[str, Any], mark: str) -> httpx.Response:
        one = {"job_id": held["job_id"], "attempt": held["attempt"], "mark": mark}
        body = {"epoch": self.epoch, "seq": seq, "attempts": [one | {"progress": seq / 10}]}
        return self.say(f"/nodes/{self.node_id}/heartbeat", body)

    def rows(self) -> dict[str, list[Any]]:
        """Everything the farm remembers."""
        path = self._farm.folder / "farm.db"
        with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
            return {
                name: database.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall()  # noqa: S608
                for name in TABLES
            }

    def twice(self, method: str, path: str, body: Any = None, *, key: str = KEY) -> httpx.Response:
        """The second answer, which says what the first said and came of no change."""
        first = self.ask(method, path, body, key=key)
        assert first.is_success, first.text
        before = self.rows()
        second = self.ask(method, path, body, key=key)
        assert second.json() == first.json()
        assert self.rows() == before
        return second


@pytest.fixture
def speaker(farm: ChaosFarm) -> Iterator[Speaker]:
    speaker = Speaker(farm)
    yield speaker
    speaker.http.close()


def test_registration_said_twice_ends_nothing_that_the_first_began(speaker: Speaker) -> None:
    said = speaker.registration()
    speaker.epoch = speaker.twice("POST", "/nodes/register", said).json()["epoch"]
    held = speaker.claimed()
    before = speaker.rows()

    late = speaker.ask("POST", "/nodes/register", said)

    assert late.json()["epoch"] == speaker.epoch
    assert speaker.rows() == before
    assert speaker.beat(1, held, "a").json()["attempts"][0]["order"] == Order.GO_ON


def test_heartbeat_heard_again_or_late_is_answered_and_changes_nothing(speaker: Speaker) -> None:
    held = speaker.registered().claimed()
    speaker.beat(4, held, "older")
    speaker.beat(5, held, "newer")
    before = speaker.rows()

    answers = [speaker.beat(5, held, "newer"), speaker.beat(4, held, "older")]

    assert [one.json()["attempts"][0]["order"] for one in answers] == [Order.GO_ON] * 2
    assert speaker.rows() == before


def test_heartbeats_that_omit_an_attempt_count_once_each(speaker: Speaker) -> None:
    held = speaker.registered().claimed()
    silent = {"epoch": speaker.epoch, "seq": 1, "attempts": []}
    for _ in range(5):
        speaker.say(f"/nodes/{speaker.node_id}/heartbeat", silent)

    assert speaker.ask("GET", f"/jobs/{held['job_id']}").json()["status"] == JobStatus.RUNNING


def test_claim_and_result_said_twice_are_one(speaker: Speaker) -> None:
    speaker.registered()
    speaker.ask("POST", "/jobs", {"scenario": "720p"})
    question = {"node_id": speaker.node_id, "epoch": speaker.epoch, "claim_id": uuid.uuid4().hex}
    lease = speaker.twice("POST", "/claims", question, key=speaker.token).json()
    file = {"size": 7, "sha256": SHA}
    path = f"/attempts/{lease['job_id']}/1/commit"
    commits = [speaker.say(path, {"lease": lease["lease"]} | file) for _ in range(2)]
    assert [one.status_code for one in commits] == [200, 200]
    said = {"job_id": lease["job_id"], "attempt": 1, "lease": lease["lease"], "logs": "well\n"}

    done = speaker.twice(
        "POST",
        "/results",
        said | file | {"node_id": speaker.node_id, "status": "completed"},
        key=speaker.token,
    )

    assert done.json()["status"] == JobStatus.COMPLETED


def test_failure_said_twice_spends_one_retry(speaker: Speaker) -> None:
    held = speaker.registered().claimed()
    said = held | {"status": "failed", "failure_reason": "encoder", "error": "it broke"}

    failed = speaker.twice("POST", "/results", said, key=speaker.token).json()

    assert (failed["status"], failed["retry_count"]) == (JobStatus.PENDING, 1)


def test_submit_cancel_and_retry_said_twice_are_one(speaker: Speaker) -> None:
    headers = {"Authorization": f"Bearer {KEY}", "Idempotency-Key": uuid.uuid4().hex}
    first = speaker.http.post("/jobs", json={"scenario": "720p"}, headers=headers).json()
    before = speaker.rows()
    again = speaker.http.post("/jobs", json={"scenario": "720p"}, headers=headers).json()

    assert (again["id"], speaker.rows()) == (first["id"], before)
    path = f"/jobs/{first['id']}"
    assert speaker.twice("POST", f"{path}/cancel").json()["status"] == JobStatus.CANCELED
    assert speaker.twice("POST", f"{path}/retry").json()["status"] == JobStatus.PENDING


@pytest.mark.parametrize(
    ("wrong", "status", "code"),
    [
        ({"lease": "x" * 32}, 409, "stale_lease"),
        ({"job_id": "00000000-0000-7000-8000-000000000000"}, 404, "not_found"),
        ({"attempt": 7}, 404, "not_found"),
        ({"status": "banana"}, 422, "invalid"),
        ({"status": "running"}, 422, "invalid"),
        ({"status": "failed"}, 422, "invalid"),
        ({}, 409, "not_committed"),
    ],
)
def test_wrong_result_is_refused_in_plain_words_and_changes_nothing(
    speaker: Speaker, wrong: dict[str, Any], status: int, code: str
) -> None:
    held = speaker.registered().claimed()
    right = held | {"status": "completed", "size": 7, "sha256": SHA, "logs": "forged\n"}
    before = speaker.rows()

    refused = speaker.say("/results", right | wrong)

    assert (refused.status_code, refused.json()["error"]["code"]) == (status, code)
    assert speaker.rows() == before


def test_last_words_of_a_canceled_attempt_are_stale_and_change_nothing(speaker: Speaker) -> None:
    held = speaker.registered().claimed()
    speaker.ask("POST", f"/jobs/{held['job_id']}/cancel")
    before = speaker.rows()
    file = {"size": 7, "sha256": SHA}
    lease = {"lease": held["lease"]}
    at = f"/attempts/{held['job_id']}/1"

    answers = [
        speaker.say("/results", held | file | {"status": "completed"}),
        speaker.say("/results", held | {"status": "failed", "failure_reason": "encoder"}),
        speaker.say(f"{at}/commit", lease | file),
        speaker.say(f"{at}/release", lease | {"reason": "late"}),
    ]

    assert [one.status_code for one in answers] == [409] * 4
    assert {one.json()["error"]["code"] for one in answers} == {"stale_lease"}
    assert speaker.rows() == before
