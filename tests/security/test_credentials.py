"""Keys, guessed, leaked and used for what they are not for, at a real master."""

import hmac
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from ffrtmp.domain.access import NO_HASH, Role, hash_of
from ffrtmp.domain.policy import FarmPolicy
from ffrtmp.domain.suspects import FREE_PER_MINUTE
from ffrtmp.store.engine import Store
from tests.databases import new_database
from tests.fakes import FakeWorld
from tests.integration.agents import KEY, Master, kill_tree
from tests.security.visitors import Visitor, visitors
from tests.waiting import free_port, wait_until

FFRTMP = str(Path(sys.executable).parent / "ffrtmp")
PROXY = "127.0.0.7"
BEARER = "Bearer"
Come = Callable[..., Visitor]


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    folder = tmp_path_factory.mktemp("guarded")
    # Nobody here sends heartbeats, however long all this takes.
    settings = {"trusted_proxies": [f"{PROXY}/32"], "node_timeout": 600}
    running = Master(folder, metrics_port=free_port(), **settings)
    try:
        yield running
    finally:
        running.close()
        kill_tree(running)


@pytest.fixture
def come(master: Master) -> Iterator[Come]:
    with visitors(master.url) as come:
        yield come


@pytest.fixture
def visitor(come: Come) -> Visitor:
    return come()


def key_of(master: Master, role: Role, name: str) -> str:
    """A key of this name, new whether or not there was one."""
    headers = {"Authorization": f"{BEARER} {KEY}"}
    httpx.delete(f"{master.url}/keys/{name}", headers=headers)
    body = {"name": name, "role": role}
    return str(httpx.post(f"{master.url}/keys", headers=headers, json=body).json()["key"])


def failures(master: Master, reason: str) -> float:
    """How many requests it has counted as not let in."""
    text = httpx.get(f"http://127.0.0.1:{master.settings.metrics_port}/metrics").text
    name = f'ffrtmp_master_auth_failures_total{{reason="{reason}"}} '
    (value,) = [line.removeprefix(name) for line in text.splitlines() if line.startswith(name)]
    return float(value)


@pytest.mark.parametrize(
    "headers",
    [
        [],
        [("Authorization", f"{BEARER} wrong")],
        [("Authorization", BEARER)],
        [("Authorization", "")],
        [("Authorization", f"Basic {KEY}")],
        [("Authorization", KEY)],
        [("Authorization", f"{BEARER} {KEY}x")],
        [("Authorization", f"{BEARER} {KEY[:-1]}")],
        [("Authorization", f"{BEARER} {KEY} {KEY}")],
        [("Authorization", f"{BEARER} {hash_of(KEY)}")],
        [("Authorization", f"{BEARER} {NO_HASH}")],
        [("Authorization", f"{BEARER} {KEY}"), ("Authorization", f"{BEARER} {KEY}")],
        [("X-Api-Key", KEY)],
        [("Cookie", f"key={KEY}")],
    ],
)
def test_without_one_right_key_in_its_header_nobody_gets_in(
    visitor: Visitor, headers: list[tuple[str, str]]
) -> None:
    for path in ("/jobs", "/jobs?api_key=" + KEY, "/jobs?access_token=" + KEY):
        answer = visitor.http.get(path, headers=headers)

        assert answer.status_code == 401
        assert answer.headers["WWW-Authenticate"] == "Bearer"
        assert KEY not in answer.text


@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "BEARER"])
def test_scheme_of_the_right_key_may_be_in_any_case(visitor: Visitor, scheme: str) -> None:
    assert visitor.ask("/jobs", headers={"Authorization": f"{scheme} {KEY}"}).status_code == 200


def test_every_guess_costs_the_same_comparisons_of_the_same_length(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = FakeWorld.over(Store(new_database(tmp_path / "farm.db")), FarmPolicy())
    made = world.farm.keys.create("alice", Role.READ, expires_seconds=None, by="root")
    compared: list[tuple[int, int]] = []

    def compare(one: str, other: str) -> bool:
        compared.append((len(one), len(other)))
        return one == other

    monkeypatch.setattr(hmac, "compare_digest", compare)
    costs = []
    root = "the-key-of-the-settings"
    prefix, secret = made.text[:13], made.text[13:]
    for guess in (
        f"{prefix}{'x' * len(secret)}",
        f"{prefix}{secret[:-1]}",
        f"ffr_00000000_{secret}",
        f"ffr_ffffffff_{'x' * 43}",
    ):
        compared.clear()
        with pytest.raises(Exception, match="unknown"):
            world.farm.access.identify(guess, bootstrap=hash_of(root))
        costs.append(list(compared))
    for guess in ("x", root[:-1], root + "x", "the-key-of-the-settinga"):
        compared.clear()
        with pytest.raises(Exception, match="unknown"):
            world.farm.access.identify(guess, bootstrap=hash_of(root))
        assert compared == [(64, 64)]
    world.farm.close()

    assert costs == [[(64, 64), (64, 64)]] * 4


def test_guesser_waits_and_hears_nothing_while_neighbours_and_others_go_on(
    master: Master, visitor: Visitor, come: Come
) -> None:
    reader = key_of(master, Role.READ, "neighbour")
    node = visitor.post("/nodes/register", KEY, {"address": "behind-nat"}).json()
    known = failures(master, "unknown")
    answers = [visitor.ask("/jobs", f"{KEY[:-6]}{number:06d}") for number in range(300)]

    statuses = [answer.status_code for answer in answers]
    assert statuses[: FREE_PER_MINUTE + 1] == [401] * (FREE_PER_MINUTE + 1)
    assert statuses.count(429) > 270
    assert all(int(one.headers["Retry-After"]) >= 1 for one in answers if one.status_code == 429)
    # What nobody guesses opens as before, from the very address.
    assert visitor.ask("/jobs", reader).status_code == 200
    claim = {"node_id": node["id"], "epoch": node["epoch"], "claim_id": "c" * 16}
    assert visitor.post("/claims", node["node_token"], claim).status_code == 204
    assert come().ask("/jobs", KEY).status_code == 200
    assert failures(master, "unknown") - known < 30
    assert failures(master, "throttled") > 270


def test_right_key_is_answered_as_a_wrong_one_until_the_wait_is_over(visitor: Visitor) -> None:
    def waits_long() -> bool:
        return int(visitor.ask("/jobs", "a guess").headers.get("Retry-After", 0)) > 2

    wait_until(waits_long)
    right = visitor.ask("/jobs", KEY)

    assert right.status_code == 429
    assert right.json() == visitor.ask("/jobs", "a guess").json()
    wait_until(lambda: visitor.ask("/jobs", KEY).status_code == 200)


def test_guesser_cannot_say_that_it_is_somebody_else(visitor: Visitor) -> None:
    statuses = [
        visitor.ask(
            "/jobs",
            f"guess-{number}",
            headers={
                "X-Forwarded-For": f"203.0.113.{number}",
                "Forwarded": f"for=203.0.113.{number}",
                "X-Real-IP": f"203.0.113.{number}",
            },
        ).status_code
        for number in range(FREE_PER_MINUTE + 5)
    ]

    assert statuses[-1] == 429


def test_those_behind_a_trusted_proxy_wait_for_themselves(come: Come) -> None:
    proxy = come(address=PROXY)
    for _ in range(FREE_PER_MINUTE + 5):
        last = proxy.ask("/jobs", "guess", headers={"X-Forwarded-For": "203.0.113.200"})

    assert last.status_code == 429
    other = proxy.ask("/jobs", KEY, headers={"X-Forwarded-For": "203.0.113.201"})
    assert other.status_code == 200


def test_nodes_whose_tokens_are_forgotten_all_hear_it_behind_one_address(
    visitor: Visitor,
) -> None:
    body = {"node_id": "n", "epoch": 1, "claim_id": "c" * 16}
    statuses = {visitor.post("/claims", f"old-{n}", body).status_code for n in range(100)}

    assert statuses == {401}
    assert visitor.ask("/jobs", KEY).status_code == 200


def test_key_of_the_settings_is_not_to_be_guessed_where_nodes_speak(visitor: Visitor) -> None:
    body = {"node_id": "n", "epoch": 1, "claim_id": "c" * 16}
    right, wrong = (visitor.post("/claims", one, body) for one in (KEY, "guess"))

    assert (right.status_code, right.json()) == (wrong.status_code, wrong.json())


def test_what_was_refused_is_written_and_logged_in_bounds_and_without_any_key(
    master: Master, visitor: Visitor
) -> None:
    guess = f"{KEY}-but-wrong"
    expired = key_of(master, Role.READ, "short")
    for _ in range(50):
        visitor.ask("/jobs", guess)
    visitor.ask("/keys", expired)

    def events() -> list[dict[str, Any]]:
        headers = {"Authorization": f"{BEARER} {KEY}"}
        answer = httpx.get(f"{master.url}/events?kind=access.refused", headers=headers)
        # Where many were refused elsewhere just before, it is summed up with those.
        where = (visitor.address, None)
        return [one for one in answer.json()["events"] if one["data"]["address"] in where]

    def lines() -> list[str]:
        # So many a second are written of all addresses: this one's may have come after those.
        visitor.ask("/jobs", guess)
        return [one for one in master.text().splitlines() if f"from {visitor.address}" in one]

    written = wait_until(events)
    assert len(written) <= 2
    assert len(wait_until(lines)) < 50
    for said in (json.dumps(written), master.text()):
        assert guess not in said
        assert expired not in said
        assert KEY not in said


@pytest.mark.parametrize("role", list(Role))
def test_key_never_opens_what_is_for_another_role(master: Master, come: Come, role: Role) -> None:
    visitor, key = come(), key_of(master, role, f"only-{role.value}")
    asked = {
        "submit": visitor.post("/jobs", key, {"scenario": "720p"}).status_code == 201,
        "look": visitor.ask("/nodes", key).status_code == 200,
        "operate": visitor.post("/queues/batch/resume", key).status_code == 200,
        "keys": visitor.ask("/keys", key).status_code == 200,
        "register": visitor.post("/nodes/register", key, {"address": f"of-{role}"}).is_success,
    }

    opened = {what for what, is_let_in in asked.items() if is_let_in}
    assert (
        opened
        == {
            Role.ADMIN: set(asked),
            Role.SUBMIT: {"submit"},
            Role.READ: {"look"},
            Role.NODE: {"register"},
        }[role]
    )


def test_key_ends_when_it_is_rotated_without_overlap_or_revoked(master: Master, come: Come) -> None:
    visitor, first = come(), key_of(master, Role.READ, "leaked")
    second = visitor.post("/keys/leaked/rotate", KEY, {"overlap_seconds": 0}).json()["key"]

    assert visitor.ask("/jobs", first).status_code == 401
    assert visitor.ask("/jobs", second).status_code == 200
    visitor.ask("/keys/leaked", KEY, method="DELETE")
    assert visitor.ask("/jobs", second).status_code == 401


def test_key_from_a_file_is_in_no_command_line_and_no_environment_of_its_own(
    master: Master, tmp_path: Path
) -> None:
    root, key = tmp_path / "root", tmp_path / "key"
    root.write_text(KEY)
    root.chmod(0o600)
    environment = {**os.environ, "MASTER_URL": master.url}
    made = subprocess.run(
        [FFRTMP, "keys", "create", "carla", "--role", "submit", "--to", str(key)],
        env=environment | {"FFMPEG_RTMP_API_KEY_FILE": str(root)},
        capture_output=True,
        text=True,
        check=True,
    )
    used = subprocess.run(
        [FFRTMP, "jobs", "submit", "--scenario", "720p", "--output", "json"],
        env=environment | {"FFMPEG_RTMP_API_KEY_FILE": str(key)},
        capture_output=True,
        text=True,
        check=True,
    )

    secret = key.read_text().strip()
    assert key.stat().st_mode & 0o777 == 0o600
    assert secret not in made.stdout + made.stderr + used.stdout + used.stderr
    assert json.loads(used.stdout)["owner"] == "carla"
    for process in (psutil.Process(master.popen.pid), *master.descendants()):
        assert KEY not in " ".join(process.cmdline())
