"""Keys over HTTP: shown once, listed without what opens anything."""

from typing import Any

import pytest

from tests.integration import test_api
from tests.integration.test_api import Api, refusal

api = test_api.api


def made(api: Api, **asked: Any) -> dict[str, Any]:
    answer = api.post("/keys", {"name": "alice", "role": "submit"} | asked)
    assert answer.status_code == 201, answer.text
    assert answer.headers["Cache-Control"] == "no-store"
    return dict(answer.json())


def opens(api: Api, key: dict[str, Any]) -> bool:
    headers = {"Authorization": f"Bearer {key['key']}"}
    return api.http.get("/queues", headers=headers).status_code == 200


def test_key_is_shown_when_it_is_made_and_never_again(api: Api) -> None:
    key = made(api, expires_seconds=3600)

    listed = api.http.get("/keys")
    (seen,) = listed.json()["keys"]
    assert opens(api, key)
    assert key["key"].startswith(f"{key['prefix']}_")
    assert key["key"] not in listed.text
    assert seen == {n: v for n, v in key.items() if n != "key"}
    assert (seen["state"], seen["role"], seen["last_used_at"]) == ("live", "submit", None)


def test_rotated_key_is_replaced_and_ends(api: Api) -> None:
    old = made(api)
    new = api.post("/keys/alice/rotate", {"overlap_seconds": 60}).json()

    states = {key["prefix"]: key["state"] for key in api.http.get("/keys").json()["keys"]}
    assert states == {old["prefix"]: "replaced", new["prefix"]: "live"}
    assert opens(api, old)
    assert opens(api, new)
    api.world.clock.pass_seconds(60)
    assert not opens(api, old)
    assert opens(api, new)


def test_rotation_lets_the_old_key_go_on_for_a_day_where_nothing_is_said(api: Api) -> None:
    old = made(api)
    api.post("/keys/alice/rotate")
    api.world.clock.pass_seconds(86_399)
    assert opens(api, old)
    api.world.clock.pass_seconds(1)

    assert not opens(api, old)


def test_revoked_key_opens_nothing(api: Api) -> None:
    key = made(api)

    assert api.http.delete("/keys/alice").status_code == 204
    assert not opens(api, key)
    assert api.http.delete("/keys/alice").status_code == 404
    assert api.post("/keys/alice/rotate").status_code == 404


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "-x"}, "name"),
        ({"name": "a b"}, "name"),
        ({"name": "a" * 65}, "name"),
        ({"name": "bootstrap"}, "name"),
        ({"role": "owner"}, "role"),
        ({"expires_seconds": 0}, "expires_seconds"),
        ({"expires_seconds": "1"}, "expires_seconds"),
        ({"expires_seconds": 1e12}, "expires_seconds"),
        ({"key": "mine"}, "key"),
    ],
)
def test_what_no_key_can_be_is_refused_by_name(api: Api, asked: dict[str, Any], field: str) -> None:
    assert refusal(api.post("/keys", {"name": "alice", "role": "submit"} | asked)) == (422, field)
    assert api.http.get("/keys").json()["count"] == 0


def test_name_that_has_a_key_is_a_conflict(api: Api) -> None:
    made(api)

    assert refusal(api.post("/keys", {"name": "alice", "role": "admin"})) == (409, "name")


@pytest.mark.parametrize("name", ["bootstrap", "anyone"])
def test_key_of_the_settings_is_neither_rotated_nor_revoked(api: Api, name: str) -> None:
    assert refusal(api.http.delete(f"/keys/{name}")) == (422, "name")
    assert refusal(api.post(f"/keys/{name}/rotate")) == (422, "name")
