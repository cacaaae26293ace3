"""The farm's history over HTTP: newest first, in pages, and filtered."""

from typing import Any

from tests.integration import test_api
from tests.integration.test_api import Api, refusal
from tests.waiting import wait_until

api = test_api.api


def page(api: Api, **query: Any) -> dict[str, Any]:
    return dict(api.http.get("/events", params=query).json())


def kinds(found: dict[str, Any]) -> list[str]:
    return [event["kind"] for event in found["events"]]


def test_history_is_paged_newest_first_without_gap_or_repeat(api: Api) -> None:
    for _ in range(5):
        api.post("/jobs", {"scenario": "720p"})
    seen: list[int] = []
    cursor: str | None = None
    while True:
        found = page(api, limit=2, **({"cursor": cursor} if cursor else {}))
        seen += [event["id"] for event in found["events"]]
        cursor = found["next"]
        if cursor is None:
            break

    assert seen == sorted(seen, reverse=True)
    assert len(seen) == len(set(seen)) == 5


def test_history_is_filtered_by_kind_job_node_and_time(api: Api) -> None:
    node = api.node("east")
    job = api.post("/jobs", {"scenario": "720p"}).json()
    api.post(f"/jobs/{job['id']}/cancel")
    api.world.clock.pass_seconds(60)
    api.post("/nodes/east/drain")

    assert kinds(page(api)) == [
        "node.draining",
        "job.canceled",
        "job.submitted",
        "node.registered",
    ]
    assert kinds(page(api, kind="job.canceled")) == ["job.canceled"]
    for reference in (job["id"], job["sequence_number"]):
        assert kinds(page(api, job=reference)) == ["job.canceled", "job.submitted"]
    for reference in (node["id"], "east"):
        assert kinds(page(api, node=reference)) == ["node.draining", "node.registered"]
    assert kinds(page(api, since="2026-01-01T00:00:30Z")) == ["node.draining"]


def test_history_of_what_is_gone_stays(api: Api) -> None:
    node = api.node("east")
    api.http.delete("/nodes/east")

    assert kinds(page(api, node=node["id"])) == ["node.removed", "node.registered"]


def test_unknown_filters_are_refused_by_name(api: Api) -> None:
    for query in ({"kind": "job.invented"}, {"job": "x"}, {"since": "today"}, {"cursor": "x"}):
        (field,) = query
        assert refusal(api.http.get("/events", params=query)) == (422, field)


def test_what_was_refused_is_in_the_history_and_the_log_of_it_has_no_key(api: Api) -> None:
    for _ in range(3):
        api.http.get("/jobs", headers={"Authorization": "Bearer a-wrong-key"})
    api.http.get("/jobs", headers={"Authorization": ""})

    def seen() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = page(api, kind="access.refused")["events"]
        return found

    (event, *_) = wait_until(seen)
    assert event["data"]["address"] == "127.0.0.1"
    assert event["data"]["reasons"]["unknown"] >= 1
    assert "a-wrong-key" not in str(event)
