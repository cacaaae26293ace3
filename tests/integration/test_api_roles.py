"""Each route opens to the roles it is for, and to nobody else."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from ffrtmp.domain.access import Role
from tests.integration import test_api
from tests.integration.test_api import Api

api = test_api.api

ADMIN, SUBMIT, READ, NODE = Role
TOKEN: set[Role] = set()
"""No key at all: a node's token."""
SEE_JOBS = {ADMIN, SUBMIT, READ}
CHANGE_JOBS = {ADMIN, SUBMIT}
SEE_FARM = {ADMIN, READ}
WHO: dict[tuple[str, str], set[Role]] = {
    ("POST", "/jobs"): CHANGE_JOBS,
    ("POST", "/jobs/batch"): CHANGE_JOBS,
    ("GET", "/jobs"): SEE_JOBS,
    ("GET", "/jobs/{job}"): SEE_JOBS,
    ("PATCH", "/jobs/{job}"): CHANGE_JOBS,
    ("POST", "/jobs/{job}/cancel"): CHANGE_JOBS,
    ("POST", "/jobs/{job}/retry"): CHANGE_JOBS,
    ("POST", "/jobs/{job}/pause"): CHANGE_JOBS,
    ("POST", "/jobs/{job}/resume"): CHANGE_JOBS,
    ("GET", "/jobs/{job}/logs"): SEE_JOBS,
    ("GET", "/jobs/{job}/attempts"): SEE_JOBS,
    ("GET", "/jobs/{job}/events"): SEE_JOBS,
    ("GET", "/queues"): SEE_JOBS,
    ("POST", "/queues/{queue}/pause"): {ADMIN},
    ("POST", "/queues/{queue}/resume"): {ADMIN},
    ("GET", "/events"): SEE_FARM,
    ("POST", "/keys"): {ADMIN},
    ("GET", "/keys"): {ADMIN},
    ("POST", "/keys/{name}/rotate"): {ADMIN},
    ("DELETE", "/keys/{name}"): {ADMIN},
    ("GET", "/nodes"): SEE_FARM,
    ("GET", "/nodes/{node}"): {ADMIN, READ, NODE},
    ("DELETE", "/nodes/{node}"): {ADMIN},
    ("POST", "/nodes/{node}/drain"): {ADMIN},
    ("POST", "/nodes/{node}/undrain"): {ADMIN},
    ("POST", "/nodes/{node}/revoke"): {ADMIN},
    ("POST", "/nodes/register"): {ADMIN, NODE},
    ("POST", "/nodes/{node_id}/heartbeat"): TOKEN,
    ("POST", "/claims"): TOKEN,
    ("POST", "/attempts/{job}/{number}/commit"): TOKEN,
    ("POST", "/attempts/{job}/{number}/release"): TOKEN,
    ("POST", "/attempts/{job}/{number}/logs"): TOKEN,
    ("POST", "/results"): TOKEN,
}
NOBODY = "00000000-0000-7000-8000-00000000dead"
OPEN = {"/health", "/ready"}


def key_of(api: Api, role: Role, name: str | None = None) -> dict[str, str]:
    """The header of a new key."""
    made = api.world.farm.keys.create(name or role, role, expires_seconds=None, by="test")
    return {"Authorization": f"Bearer {made.text}"}


def routes(api: Api) -> Iterator[tuple[str, str]]:
    document: dict[str, Any] = httpx.get(f"{api.http.base_url}/openapi.json", timeout=60).json()
    for path, methods in document["paths"].items():
        for method in methods:
            yield method.upper(), path


def nowhere(path: str) -> str:
    """A route's path to things that are not there."""
    there = {"job": NOBODY, "node": NOBODY, "node_id": NOBODY, "number": 1, "queue": "batch"}
    return path.format(name="none", **there)


def asked(api: Api, method: str, path: str, headers: dict[str, str]) -> int:
    """The status of a request for things that are not there, with a body that means nothing."""
    where = nowhere(path)
    return api.http.request(method, where, headers=headers, json={"no": "field"}).status_code


def test_every_route_has_its_roles_here(api: Api) -> None:
    assert set(routes(api)) == set(WHO) | {("GET", path) for path in OPEN}


def test_each_key_opens_what_its_role_says_and_is_forbidden_the_rest(api: Api) -> None:
    keys = {role: key_of(api, role) for role in Role}
    for (method, path), who in WHO.items():
        for role, headers in keys.items():
            is_let_in = role in who
            assert (asked(api, method, path, headers) != 403) is is_let_in, (method, path, role)


def test_token_of_a_node_opens_only_what_nodes_do(api: Api) -> None:
    token = api.node()["headers"]
    for (method, path), who in WHO.items():
        status = asked(api, method, path, token)
        # What a node asks for is judged further: here the body is refused.
        assert status == (422 if who is TOKEN else 403), (method, path)


def test_without_a_credential_no_route_reads_what_it_is_sent(api: Api) -> None:
    for method, path in WHO:
        answer = httpx.request(method, f"{api.http.base_url}{nowhere(path)}", content=b"{")
        assert answer.status_code == 401, (method, path)
        assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_jobs_of_others_are_not_there_for_a_submit_key(api: Api) -> None:
    alice, bob = key_of(api, SUBMIT, "alice"), key_of(api, SUBMIT, "bob")
    job = api.post("/jobs", {"scenario": "720p"}, headers=alice).json()
    own = api.post("/jobs", {"scenario": "720p"}, headers=bob).json()

    for reference in (job["id"], str(job["sequence_number"])):
        for method, path in WHO:
            if "/jobs/{job}" in path:
                body = {"priority": "high"} if method == "PATCH" else None
                where = path.format(job=reference)
                there = api.http.request(method, where, headers=bob, json=body)
                none = api.http.request(method, nowhere(path), headers=bob, json=body)
                assert there.status_code == none.status_code == 404, (method, path)
                said = there.json()["error"]["message"].replace(reference, NOBODY)
                assert said == none.json()["error"]["message"]
    assert [one["id"] for one in api.http.get("/jobs", headers=bob).json()["jobs"]] == [own["id"]]
    asked_for = api.http.get("/jobs", headers=bob, params={"owner": "alice"}).json()
    assert asked_for["jobs"] == []
    assert api.http.get(f"/jobs/{job['id']}", headers=alice).json()["status"] == "pending"


def test_admin_and_reader_see_everybodys_jobs_and_whose_they_are(api: Api) -> None:
    api.post("/jobs", {"scenario": "720p"}, headers=key_of(api, SUBMIT, "alice"))
    api.post("/jobs", {"scenario": "720p"})

    for headers in (key_of(api, READ), key_of(api, ADMIN)):
        found = api.http.get("/jobs", headers=headers).json()["jobs"]
        assert [job["owner"] for job in found] == ["bootstrap", "alice"]
        of_one = api.http.get("/jobs", headers=headers, params={"owner": "alice"}).json()["jobs"]
        assert [job["owner"] for job in of_one] == ["alice"]


def test_idempotency_keys_are_the_owners_own(api: Api) -> None:
    alice, bob = key_of(api, SUBMIT, "alice"), key_of(api, SUBMIT, "bob")
    once = {"Idempotency-Key": "k"}
    first = api.post("/jobs", {"scenario": "720p"}, headers=alice | once).json()

    again = api.post("/jobs", {"scenario": "720p"}, headers=alice | once)
    other_body = api.post("/jobs", {"scenario": "480p"}, headers=alice | once)
    others = api.post("/jobs", {"scenario": "480p"}, headers=bob | once)

    assert again.json()["id"] == first["id"]
    assert other_body.status_code == 422
    assert others.status_code == 201
    assert others.json()["id"] != first["id"]


def test_key_of_a_node_sees_a_node_by_its_id_only(api: Api) -> None:
    node = api.node("east")
    key = key_of(api, NODE)

    assert api.http.get(f"/nodes/{node['id']}", headers=key).json()["epoch"] == 1
    assert api.http.get("/nodes/east", headers=key).status_code == 404


@pytest.mark.parametrize("scheme", ["bearer", "BEARER", "Bearer"])
def test_scheme_is_written_in_any_case(api: Api, scheme: str) -> None:
    headers = {"Authorization": f"{scheme} {test_api.KEY}"}

    assert api.http.get("/jobs", headers=headers).status_code == 200


def test_whatever_people_do_says_in_the_history_who_did_it(api: Api) -> None:
    admin = key_of(api, ADMIN, "ann")
    api.node("east")
    job = api.post("/jobs", {"scenario": "720p"}, headers=admin).json()
    api.http.patch(f"/jobs/{job['id']}", json={"priority": "low"}, headers=admin)
    for path in (
        f"/jobs/{job['id']}/cancel",
        f"/jobs/{job['id']}/retry",
        "/queues/batch/pause",
        "/queues/batch/resume",
        "/nodes/east/drain",
        "/nodes/east/undrain",
        "/nodes/east/revoke",
    ):
        assert api.post(path, headers=admin).status_code == 200
    api.http.delete("/nodes/east", headers=admin)

    with api.world.farm.store.read() as tx:
        events = [e for e in tx.events.after(0, limit=100) if e.kind not in BY_OTHERS]
    assert len(events) == 10
    assert {event.data["by"] for event in events} == {"ann"}


BY_OTHERS = ("key.created", "node.registered")
