"""What a body or a query may not be, whatever the route."""

import json
from typing import Any

import httpx
import pytest

from tests.integration import test_api
from tests.integration.test_api import Api, refusal

api = test_api.api

HUGE = "9" * 40


def send(api: Api, path: str, body: bytes, **headers: str) -> httpx.Response:
    return api.http.post(path, content=body, headers={"Content-Type": "application/json"} | headers)


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"scenario": "720p", "queue": "live", "queue": "batch"}', "queue"),
        (b'{"scenario": "720p", "parameters": {"crf": 1, "crf": 2}}', "crf"),
        (b'{"scenario": "720p", "parameters": {"duration": NaN}}', None),
        (b'{"scenario": "720p", "parameters": {"duration": -Infinity}}', None),
        (b'{"scenario": "720p", "parameters": {"duration": 1e999}}', None),
        (b'{"scenario": "720p", "parameters": {"input": "/\\ud800"}}', None),
        (b'{"scenario": "720p", "parameters": {"input": "/\\uDFFF"}}', None),
        (b'{"scenario": "720p", "max_retries": ' + b"9" * 5000 + b"}", None),
        (b"[" * 100_000, None),
        (b"\xff", None),
        (b'{"scenario": "720p"', None),
        (b'{"scenario": "720p"} x', None),
        (b"", "body"),
        (b"null", "body"),
        (b"[]", "body"),
    ],
)
def test_body_that_two_readers_could_understand_differently_is_refused(
    api: Api, body: bytes, field: str | None
) -> None:
    assert refusal(send(api, "/jobs", body)) == (422, field)
    assert api.http.get("/jobs").json()["count"] == 0


def test_body_without_the_json_content_type_is_refused_and_told_which(api: Api) -> None:
    for kind in ("application/x-www-form-urlencoded", "text/plain"):
        answer = api.http.post("/jobs", content=b"{}", headers={"Content-Type": kind})

        assert answer.status_code == 422
        assert "Content-Type: application/json" in answer.json()["error"]["message"]


def test_text_beyond_ascii_is_kept_as_it_is(api: Api) -> None:
    body = (
        b'{"scenario": "720p", "parameters": {"input": "/\\ud83c\\udfac \\\\ud800/\xc3\xa9.mp4"}}'
    )

    assert send(api, "/jobs", body).status_code == 201
    assert api.http.get("/jobs/1").json()["parameters"]["input"] == "/🎬 \\ud800/é.mp4"


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("statu=failed", "statu"),
        ("status=done", "status"),
        ("status=", "status"),
        ("queue=LIVE", "queue"),
        ("node=", "node"),
        ("node=%00", "node"),
        ("scenario=", "scenario"),
        ("scenario=%00", "scenario"),
        ("limit=0", "limit"),
        ("limit=1001", "limit"),
        ("cursor=x", "cursor"),
        ("since=yesterday", "since"),
        ("since=0.5", "since"),
        ("since=1700000000", "since"),
        ("since=2026-01-01", "since"),
        ("since=2026-01-01T00:00:00", "since"),
        ("since=9999-12-31T23:59:59-23:59", "since"),
        ("since=0001-01-01T00:00:00%2B23:59", "since"),
    ],
)
def test_wrong_query_is_refused_by_name(api: Api, query: str, field: str) -> None:
    assert refusal(api.http.get(f"/jobs?{query}")) == (422, field)


def test_unknown_name_in_the_query_of_a_log_is_refused(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"})

    assert refusal(api.http.get("/jobs/1/logs?atempt=2")) == (422, "atempt")


def test_filters_choose_what_they_name(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p", "queue": "live", "priority": "high"})
    node = api.node()
    api.claim(node)
    api.world.clock.pass_seconds(60)
    since = api.world.clock.moment.isoformat()
    api.post("/jobs", {"scenario": "480p", "queue": "batch", "priority": "low"})

    def chosen(**query: str) -> list[int]:
        found = api.http.get("/jobs", params=query).json()["jobs"]
        return [job["sequence_number"] for job in found]

    assert chosen() == [2, 1]
    assert chosen(status="running") == chosen(queue="live") == chosen(priority="high") == [1]
    assert chosen(node="east") == chosen(node=node["id"]) == chosen(scenario="720p") == [1]
    assert chosen(since=since) == [2]
    assert chosen(status="running", queue="batch") == []


@pytest.mark.parametrize("reference", ["%00", "a%1Fb"])
def test_node_reference_with_control_characters_is_not_found(api: Api, reference: str) -> None:
    assert api.http.get(f"/nodes/{reference}").status_code == 404


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (f'{{"address": "a", "slots": {HUGE}}}', "slots"),
        ('{"address": "a", "slots": true}', "slots"),
        ('{"address": "a", "type": 1}', "type"),
        (
            f'{{"address": "a", "holding": [{{"job_id": "x", "attempt": {HUGE}}}]}}',
            "holding.0.attempt",
        ),
        ('{"address": "a", "hardware": {"x": NaN}}', None),
        ('{"address": "a", "hardware": {"x": ' + "[" * 99 + "]" * 99 + "}}", "hardware"),
    ],
)
def test_node_that_no_answer_could_show_is_not_registered(
    api: Api, body: str, field: str | None
) -> None:
    assert refusal(send(api, "/nodes/register", body.encode())) == (422, field)
    assert api.http.get("/nodes").json()["count"] == 0


@pytest.mark.parametrize(
    ("path", "more", "field"),
    [
        ("/nodes/{id}/heartbeat", {"seq": HUGE}, "seq"),
        ("/nodes/{id}/heartbeat", {"epoch": HUGE}, "epoch"),
        ("/nodes/{id}/heartbeat", {"seq": "true"}, "seq"),
        ("/claims", {"heartbeat_seq": HUGE}, "heartbeat_seq"),
        ("/claims", {"claim_id": f'"{" " * 16}"'}, "claim_id"),
        ("/claims", {"claim_id": '"' + "\\u0000" * 16 + '"'}, "claim_id"),
        ("/results", {"attempt": HUGE}, "attempt"),
        ("/results", {"exit_code": HUGE}, "exit_code"),
        ("/results", {"size": str(1 << 53)}, "size"),
        ("/results", {"completed_at": "1700000000"}, "completed_at"),
        ("/results", {"status": '"COMPLETED"'}, "status"),
    ],
)
def test_number_or_token_the_database_cannot_keep_is_refused_by_field(
    api: Api, path: str, more: dict[str, str], field: str
) -> None:
    node = api.node()
    good: dict[str, dict[str, Any]] = {
        "/nodes/{id}/heartbeat": {"epoch": 1, "seq": 1},
        "/claims": {"node_id": node["id"], "epoch": 1, "claim_id": "c" * 16},
        "/results": {
            "job_id": "x",
            "node_id": node["id"],
            "attempt": 1,
            "lease": "l" * 16,
            "status": "failed",
            "failure_reason": "encoder",
        },
    }
    parts = [
        f'"{name}": {json.dumps(value)}' for name, value in good[path].items() if name != field
    ]
    body = "{" + ", ".join([*parts, *(f'"{k}": {v}' for k, v in more.items())]) + "}"

    answer = send(api, path.format(id=node["id"]), body.encode(), **node["headers"])

    assert refusal(answer) == (422, field)


def test_nul_in_the_words_of_a_node_is_replaced(api: Api) -> None:
    node = api.post("/nodes/register", {"address": "a", "type": "x\x00"}).json()

    assert node["type"] == "x�"
