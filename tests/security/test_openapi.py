"""What the API does is what /openapi.json says, whatever it is asked."""

import re
import uuid
from pathlib import Path

import httpx
import pytest

from tests.integration.agents import KEY, Master
from tests.security.described import Fuzzed, fuzz
from tests.security.visitors import visitors

OPEN = {"/health", "/ready", "/openapi.json"}
NO_CREDENTIALS: list[dict[str, str]] = [
    {},
    {"Authorization": "Bearer x"},
    {"Authorization": "Bearer"},
    {"Authorization": KEY},
    {"Authorization": f"Basic {KEY}"},
    {"X-Api-Key": KEY},
    {"Cookie": f"key={KEY}"},
]
UUID = "0198c0de-0000-7000-8000-000000000001"


def fuzzed(master: Master, folder: Path, *arguments: str) -> Fuzzed:
    """With a node of the run's own, whose token opens to its end what is a node's."""
    headers = {"Authorization": f"Bearer {KEY}"}
    node = httpx.post(
        f"{master.url}/nodes/register", json={"address": folder.name}, headers=headers
    ).json()
    token = node["node_token"]
    # Wrong credentials are among what is tried: only what nobody guesses goes on beside them.
    key = httpx.post(
        f"{master.url}/keys", json={"name": folder.name, "role": "admin"}, headers=headers
    ).json()["key"]
    ended_by = ("--exclude-method", "DELETE", "--exclude-path", "/nodes/{node}/revoke")
    run = fuzz(master.url, folder, *arguments, *ended_by, key=key, token=token)
    claim = {"node_id": node["id"], "epoch": node["epoch"], "claim_id": uuid.uuid4().hex}
    own = {"Authorization": f"Bearer {token}"}
    last = httpx.post(f"{master.url}/claims", json=claim, headers=own)
    # It may have been drained or registered again meanwhile, but it is who it was.
    assert last.status_code in (200, 204, 409), last.text
    return run


def place(path: str) -> str:
    """A path of this form, to what is not there."""
    return re.sub(r"{(\w+)}", lambda part: {"job": UUID, "number": "1"}.get(part[1], "x"), path)


def test_every_route_that_is_not_open_refuses_whoever_has_no_credential(
    lone_master: Master,
) -> None:
    with httpx.Client(base_url=lone_master.url, timeout=30) as http:
        routes = [
            (method, path)
            for path, methods in http.get("/openapi.json").json()["paths"].items()
            for method in methods
            if path not in OPEN
        ]
    answers = {}
    with visitors(lone_master.url) as come:
        for method, path in routes:
            # Another one for each route: who sends many wrong credentials has to wait.
            http = come().http
            for headers in NO_CREDENTIALS:
                answer = http.request(method, f"{place(path)}?api_key={KEY}", headers=headers)
                answers[method, path, str(headers)] = answer.status_code

    assert len(routes) > 25
    assert {asked: status for asked, status in answers.items() if status != 401} == {}


def test_answers_are_those_that_the_document_describes(lone_master: Master, tmp_path: Path) -> None:
    run = fuzzed(lone_master, tmp_path / "some", "--phases", "fuzzing", "-n", "5", "--seed", "1")

    assert run.failures == [], run.said
    assert run.requests > 100
    assert run.accepted["POST /nodes/register"] > 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_five_thousand_requests_are_answered_as_described(
    lone_master: Master, tmp_path: Path
) -> None:
    phases = ("--phases", "examples,coverage,fuzzing")
    run = fuzzed(lone_master, tmp_path / "many", *phases, "-n", "150", "--seed", "2")

    assert run.failures == [], run.said
    assert run.requests > 5000
    assert lone_master.popen.poll() is None
    assert run.accepted["POST /jobs"] > 0
    assert run.accepted["POST /nodes/register"] > 0
    assert "POST /nodes/{node}/revoke" not in run.accepted
