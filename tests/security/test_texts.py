"""Text is text, whatever language it looks like."""

from urllib.parse import quote

import httpx
import pytest

from tests.integration.agents import KEY, Master

TEXTS = (
    "'; DROP TABLE jobs; --",
    "' OR '1'='1",
    '" OR ""="',
    "x'||(SELECT hash FROM keys)||'",
    "1); SELECT pg_sleep(9)",
    "%' OR 1=1 --",
    "_%",
    "\\'; --",
    ":name ? $1 %s {0} ${x}",
    "%00",
    "a;b&c|d`e`",
    "<script>alert(1)",
    "\x9b31m\u202e\u200b\u2028",
)


@pytest.fixture
def http(lone_master: Master) -> httpx.Client:
    headers = {"Authorization": f"Bearer {KEY}"}
    return httpx.Client(base_url=lone_master.url, headers=headers, timeout=30)


@pytest.mark.parametrize("text", TEXTS)
def test_text_of_a_job_or_a_node_is_kept_as_it_is(http: httpx.Client, text: str) -> None:
    with http:
        places = {"input": f"/media/{text}.mp4", "output": f"{text}.mp4"}
        job = http.post("/jobs", json={"scenario": "720p", "parameters": places}).json()
        named = {"address": f"at {text}", "name": text, "type": text[:32]}
        node = http.post("/nodes/register", json=named).json()
        drained = http.post(f"/nodes/{node['id']}/drain", json={"reason": text}).json()

        assert http.get(f"/jobs/{job['id']}").json()["parameters"] == places
        assert http.get(f"/nodes/{quote(text, safe='')}").json()["id"] == node["id"]
        assert drained["drain_reason"] == text
        http.delete(f"/nodes/{node['id']}")


@pytest.mark.parametrize("text", TEXTS)
def test_text_that_filters_finds_what_has_it_and_nothing_else(
    http: httpx.Client, text: str
) -> None:
    with http:
        http.post("/jobs", json={"scenario": "720p"})
        before = http.get("/jobs", params={"limit": 1000}).json()["count"]
        keys = {"Idempotency-Key": quote(text, safe="")}
        again = [http.post("/jobs", json={"scenario": "480p"}, headers=keys) for _ in range(2)]

        assert len({answer.json()["id"] for answer in again}) == 1
        assert http.get("/jobs", params={"scenario": text}).json()["count"] == 0
        assert http.get("/jobs", params={"owner": text}).json()["count"] == 0
        assert http.get("/jobs", params={"node": text}).status_code == 404
        assert http.get("/jobs", params={"cursor": text}).status_code == 422
        assert http.get(f"/jobs/1{quote(text, safe='')}").status_code == 404
        assert http.get("/jobs", params={"limit": 1000}).json()["count"] == before + 1
