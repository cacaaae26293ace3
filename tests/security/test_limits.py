"""Requests that are too large, too many or too slow, sent to a real master."""

import contextlib
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.security.limits_target import LimitedMaster
from tests.security.raw import (
    AUTHORIZED,
    asked,
    connected,
    is_cut_off,
    many,
    sent_until_refused,
    status_of,
    takes_no_more,
)
from tests.waiting import wait_until

CONNECTIONS = 1_100
GROWTH_MEBIBYTES = 48.0
"""What a Python process keeps of a moment's work; an attack that is held is far beyond it."""
NODE_BODY = {"epoch": 1, "seq": 1}
JOB = {"scenario": "720p"}
OF_NODE, OF_STRANGER = 100, 500
"""Requests a minute."""
PENDING = 30
FOLLOWERS = 100


@pytest.fixture(scope="module")
def limited(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LimitedMaster]:
    master = LimitedMaster(
        tmp_path_factory.mktemp("limits"),
        connections_per_address=CONNECTIONS,
        node_requests_per_minute=OF_NODE,
        anonymous_requests_per_minute=OF_STRANGER,
        pending_jobs_per_key=PENDING,
        followers=FOLLOWERS + 10,
        followers_per_key=FOLLOWERS,
    )
    try:
        yield master
    finally:
        master.close()


@pytest.fixture
def master(limited: LimitedMaster) -> LimitedMaster:
    limited.settle()
    return limited


def test_thousand_idle_connections_hinder_nobody_and_are_ended(master: LimitedMaster) -> None:
    before = master.memory_mebibytes()

    with many(master.port, 1_000) as idle:
        assert master.serves()
        assert master.memory_mebibytes() - before < GROWTH_MEBIBYTES
        assert {status_of(one) for one in idle} == {408}


def test_connections_beyond_those_of_one_address_are_answered_429(master: LimitedMaster) -> None:
    with many(master.port, CONNECTIONS), connected(master.port) as one_more:
        said = one_more.recv(4096)

    assert said.startswith(b"HTTP/1.1 429 ")
    assert b"\r\nRetry-After: " in said
    wait_until(master.serves, what="room for others again")


def test_head_that_never_ends_is_cut_off(master: LimitedMaster) -> None:
    drips = [b"X-Drip: 1\r\n", b"\r\n", b""] * 10
    with many(master.port, len(drips)) as slow:
        for one in slow:
            one.sendall(b"GET /health HTTP/1.1\r\n")

        def are_cut_off() -> bool:
            ends = [takes_no_more(one, drip) for one, drip in zip(slow, drips, strict=True)]
            return all(ends)

        wait_until(are_cut_off, seconds=15, what="the end of slow heads")

    assert master.serves()


def test_head_that_begins_on_a_used_connection_is_timed_too(master: LimitedMaster) -> None:
    with connected(master.port) as one:
        one.sendall(asked("GET", "/health"))
        said = b""
        while not said.endswith(b"}"):
            said += one.recv(4096)
        one.sendall(b"G")

        assert status_of(one) == 408


def test_body_that_comes_too_slowly_is_answered_408(master: LimitedMaster) -> None:
    before = master.refused("too_slow")
    with many(master.port, 20) as slow:
        for one in slow:
            one.sendall(asked("POST", "/jobs", AUTHORIZED + "Content-Length: 200\r\n") + b"{")

        assert {status_of(one) for one in slow} == {408}

    assert master.refused("too_slow") == before + 20
    assert master.serves()


def test_body_without_a_right_credential_is_not_read(master: LimitedMaster) -> None:
    head = asked("POST", "/jobs", "Host: farm\r\nContent-Length: 200000\r\n")
    with connected(master.port) as stranger:
        stranger.sendall(head)

        assert status_of(stranger) in (401, 429)
        wait_until(lambda: is_cut_off(stranger), what="an end of what nobody reads")


@pytest.mark.parametrize("is_declared", [True, False])
def test_gigabyte_of_anything_is_answered_413_and_not_kept(
    master: LimitedMaster, is_declared: bool
) -> None:
    before = master.memory_mebibytes()
    framing = "Content-Length: 1073741824" if is_declared else "Transfer-Encoding: chunked"
    piece = b"x" * 65_536 if is_declared else b"10000\r\n" + b"x" * 65_536 + b"\r\n"
    with connected(master.port) as sender:
        sender.sendall(asked("POST", "/jobs/batch", AUTHORIZED + framing + "\r\n"))
        status = sent_until_refused(sender, piece)

    assert status == 413
    assert master.memory_mebibytes() - before < GROWTH_MEBIBYTES


def test_each_route_takes_what_it_has_use_for(master: LimitedMaster) -> None:
    node_id, speaks = master.node("sizes")
    sizes = {
        "/claims": (speaks, 64),
        f"/nodes/{node_id}/heartbeat": (speaks, 1024),
        "/jobs": (master.http, 256),
        "/jobs/batch": (master.http, 4096),
        "/nodes/register": (master.http, 1024),
        "/queues/live/pause": (master.http, 64),
        "/results": (speaks, 8192),
    }

    with speaks:
        for path, (http, kibibytes) in sizes.items():
            for size, status in ((kibibytes << 10, 422), ((kibibytes << 10) + 1, 413)):
                body = b'"' + b"x" * (size - 2) + b'"'
                sent = {"Content-Type": "application/json"}
                assert http.post(path, content=body, headers=sent).status_code == status, path


def test_heartbeat_of_a_hundred_thousand_attempts_is_refused_and_changes_nothing(
    master: LimitedMaster,
) -> None:
    node_id, speaks = master.node("many-attempts")
    one = {"job_id": "0198c0de-0000-7000-8000-000000000001", "attempt": 1}

    def beat(*attempts: dict[str, Any]) -> httpx.Response:
        body = NODE_BODY | {"attempts": attempts}
        return speaks.post(f"/nodes/{node_id}/heartbeat", json=body)

    gone = 'ffrtmp_master_orders_total{order="gone"}'
    before = master.samples()[gone]
    with speaks:
        refused = [beat(*[{}] * 100_000).status_code, beat(*[one] * 100_000).status_code]
        after = beat(one)

    assert refused == [422, 413]
    assert after.json()["attempts"] == [one | {"order": "gone"}]
    assert master.samples()[gone] == before + 1


def test_few_bytes_that_are_many_values_are_refused(master: LimitedMaster) -> None:
    before = master.memory_mebibytes()
    lists = b'{"jobs": [' + b"[]," * 1_300_000 + b"[]]}"
    names = json.dumps({"scenario": "720p"} | {f"x{number}": 1 for number in range(18_000)})

    kind = {"Content-Type": "application/json"}
    values = master.http.post("/jobs/batch", content=lists, headers=kind)
    faults = master.http.post("/jobs", content=names, headers=kind)

    assert (values.status_code, faults.status_code) == (422, 422)
    assert "at most 200000 values" in values.json()["error"]["message"]
    assert len(faults.json()["error"]["details"]) == 100

    assert master.memory_mebibytes() - before < GROWTH_MEBIBYTES


def test_packed_body_is_refused(master: LimitedMaster) -> None:
    packed = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
    answer = master.http.post("/jobs", content=b"\x1f\x8b", headers=packed)

    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/" + "a" * 9_000, {}, 414),
        ("/jobs?scenario=" + "a" * 9_000, {}, 414),
        ("/health", {"X-Large": "a" * 17_000}, 431),
        ("/health", {f"X-{number}": "" for number in range(101)}, 431),
        ("/" + "a" * 400_000, {}, 431),
    ],
)
def test_head_that_is_too_large_is_refused(
    master: LimitedMaster, path: str, headers: dict[str, Any], status: int
) -> None:
    if len(path) < 65_536:
        assert httpx.get(master.url + path, headers=headers).status_code == status
        return
    with connected(master.port) as sender:
        assert sent_until_refused(sender, f"GET {path} HTTP/1.1\r\n".encode(), once=True) == status


def test_what_is_no_http_is_refused_without_a_line_in_the_log(master: LimitedMaster) -> None:
    lines = len(master.text().splitlines())
    for nonsense in (
        b"nonsense\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ):
        for _ in range(20):
            with connected(master.port) as sender:
                sender.sendall(nonsense)
                assert status_of(sender) == 400

    assert len(master.text().splitlines()) == lines


def test_ten_thousand_paths_make_no_series_no_lines_and_no_memory(master: LimitedMaster) -> None:
    master.http.get("/warm")
    series, lines = set(master.samples()), len(master.text().splitlines())
    before = master.memory_mebibytes()
    statuses: list[bytes] = []
    for number in range(10_000 // 100):
        with connected(master.port) as one:
            paths = (f"/p%0A{number}/{piece}%0D%0AERROR%20forged" for piece in range(99))
            heads = [asked("GET", path, "Host: farm\r\n") for path in paths]
            last = asked("GET", f"/last/{number}", "Host: farm\r\nConnection: close\r\n")
            one.sendall(b"".join([*heads, last]))
            said = b""
            while more := one.recv(65_536):
                said += more
            statuses += re.findall(rb"HTTP/1.1 ([0-9]+) ", said)

    assert Counter(statuses).keys() == {b"404", b"429"}
    assert len(statuses) == 10_000
    assert master.http.get("/jobs").status_code == 200
    assert set(master.samples()) == series
    assert len(master.text().splitlines()) == lines
    assert master.memory_mebibytes() - before < GROWTH_MEBIBYTES


def test_words_of_clients_make_no_line_of_their_own(master: LimitedMaster) -> None:
    forged = "\n2026-01-01 00:00:00,000 ERROR ffrtmp: forged\r\x1b[31m"
    node_id, speaks = master.node("forger")
    body = {"address": "forger-2", "type": forged[:32], "version": forged[:64]}
    master.http.post("/nodes/register", json=body)
    beat = NODE_BODY | {"load": {forged: forged}, "clock_skew_seconds": 1e6}
    with speaks:
        assert speaks.post(f"/nodes/{node_id}/heartbeat", json=beat).status_code == 200
    for path in ("/jobs/x%0Aforged", "/nodes/forged%0D%0Aforged/drain", "/queues/a%0Aforged/pause"):
        master.http.post(path, json={"reason": forged})
    master.http.post(f"/nodes/{node_id}/drain", json={"reason": forged})
    headers = {"Authorization": "Bearer " + "forged" * 100}
    assert httpx.get(master.url + "/jobs", headers=headers).status_code == 401

    lines = master.text().splitlines()
    assert [line for line in lines if line.startswith("2026-01-01 00:00:00")] == []
    assert "\x1b" not in master.text()


def test_node_that_asks_without_end_is_told_to_wait_and_others_are_served(
    master: LimitedMaster,
) -> None:
    _, greedy = master.node("greedy")
    modest, polite = master.node("polite")
    with greedy, polite:
        answer = greedy.post("/claims", json={})
        for _ in range(3 * OF_NODE):
            if (answer := greedy.post("/claims", json={})).status_code == 429:
                break

        assert answer.json()["error"]["code"] == "too_many_requests"
        assert int(answer.headers["Retry-After"]) >= 1
        assert polite.post(f"/nodes/{modest}/heartbeat", json=NODE_BODY).status_code == 200
    assert master.http.get("/queues").status_code == 200


def test_jobs_beyond_the_room_of_a_key_are_refused_with_the_numbers(
    master: LimitedMaster,
) -> None:
    with filled(master):
        one_more = master.http.post("/jobs", json=JOB)
        error = one_more.json()["error"]

        assert (one_more.status_code, error["code"]) == (429, "queue_full")
        assert f"{PENDING} jobs of this key wait already, at most {PENDING}" in error["message"]
        assert int(one_more.headers["Retry-After"]) >= 1
        assert len(pending(master)) == PENDING
    submitted(master)


@contextlib.contextmanager
def filled(master: LimitedMaster) -> Iterator[None]:
    """As many jobs wait as may; at the end none does."""
    for job in pending(master):
        master.http.post(f"/jobs/{job}/cancel")
    batch = {"jobs": [JOB] * PENDING}
    wait_until(lambda: master.http.post("/jobs/batch", json=batch).is_success, what="room")
    yield
    for job in pending(master):
        master.http.post(f"/jobs/{job}/cancel")


def pending(master: LimitedMaster) -> list[str]:
    answer = master.http.get("/jobs", params={"limit": 1000, "status": "pending"})
    return [job["id"] for job in answer.json()["jobs"]]


def submitted(master: LimitedMaster) -> None:
    wait_until(lambda: master.http.post("/jobs", json=JOB).is_success, what="room for a job")


def running_with_a_long_log(master: LimitedMaster) -> str:
    """A job whose log has nearly a mebibyte."""
    node_id, speaks = master.node("talkative")
    submitted(master)
    with speaks:
        asks = {"node_id": node_id, "epoch": 1, "claim_id": "d" * 16}
        lease = speaks.post("/claims", json=asks).json()
        text = "".join(f"{number:07} says what it does\n" for number in range(38_000))
        body = {"lease": lease["lease"], "offset": 0, "text": text}
        assert speaks.post(f"/attempts/{lease['job_id']}/1/logs", json=body).is_success
    return str(lease["job_id"])


def test_hundred_that_never_read_are_cut_off_and_one_more_is_told_to_wait(
    master: LimitedMaster,
) -> None:
    job = running_with_a_long_log(master)
    follow = asked("GET", f"/jobs/{job}/logs?follow=1")
    long_answers = asked("GET", "/openapi.json") * 20
    before, cut_off = master.memory_mebibytes(), master.refused("unread")

    with contextlib.ExitStack() as unread:
        followers = [
            unread.enter_context(connected(master.port, reads_little=True))
            for _ in range(FOLLOWERS)
        ]
        for one in followers:
            one.sendall(follow)
        with connected(master.port) as one_more:
            assert {one.recv(12) for one in followers} == {b"HTTP/1.1 200"}
            one_more.sendall(follow)
            assert status_of(one_more) == 429
        for _ in range(10):
            one = unread.enter_context(connected(master.port, reads_little=True))
            one.sendall(long_answers)
        assert master.http.get(f"/jobs/{job}").json()["status"] == "running"
        assert master.memory_mebibytes() - before < GROWTH_MEBIBYTES

        all_of_them = cut_off + FOLLOWERS + 10
        wait_until(lambda: master.refused("unread") == all_of_them, what="the end of all")
        with connected(master.port) as one_that_reads:
            one_that_reads.sendall(follow)
            assert status_of(one_that_reads) == 200
