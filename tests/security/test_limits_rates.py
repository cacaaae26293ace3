"""Too many requests, jobs and followers, sent to a real master with small limits."""

import contextlib
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.security.limits_target import LimitedMaster
from tests.security.raw import asked, connected, status_of
from tests.waiting import wait_until

PER_MINUTE = 300
PENDING = 30
FOLLOWERS = 100
GROWTH_MEBIBYTES = 48.0
BODY = {"scenario": "720p"}


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LimitedMaster]:
    limited = LimitedMaster(
        tmp_path_factory.mktemp("rates"),
        requests_per_minute=6_000,
        node_requests_per_minute=PER_MINUTE,
        anonymous_requests_per_minute=PER_MINUTE,
        pending_jobs_per_key=PENDING,
        write_timeout=4,
        followers=FOLLOWERS,
        followers_per_key=FOLLOWERS - 1,
    )
    try:
        yield limited
    finally:
        limited.close()


def node(master: LimitedMaster, address: str) -> tuple[dict[str, Any], httpx.Client]:
    """A node's identity, and a client with its token."""
    answer = master.http.post("/nodes/register", json={"address": address}).json()
    headers = {"Authorization": f"Bearer {answer['node_token']}"}
    return answer, httpx.Client(base_url=master.url, headers=headers)


def refusal_of_many(http: httpx.Client, method: str, path: str, **request: Any) -> httpx.Response:
    """The first answer that is 429."""
    for _ in range(3 * PER_MINUTE):
        answer = http.request(method, path, **request)
        if answer.status_code == 429:
            return answer
    raise AssertionError("never refused")


def told_to_wait(answer: httpx.Response) -> bool:
    code = answer.json()["error"]["code"]
    return code == "too_many_requests" and int(answer.headers["Retry-After"]) >= 1


def test_node_that_asks_without_end_is_told_to_wait_and_others_are_served(
    master: LimitedMaster,
) -> None:
    _, greedy = node(master, "greedy")
    modest, polite = node(master, "polite")
    with greedy, polite:
        claims = {"node_id": "x", "epoch": 1, "claim_id": "c" * 16}

        assert told_to_wait(refusal_of_many(greedy, "POST", "/claims", json=claims))

        beat = {"epoch": 1, "seq": 1}
        assert polite.post(f"/nodes/{modest['id']}/heartbeat", json=beat).status_code == 200
    assert master.http.get("/queues").status_code == 200


def test_stranger_who_asks_without_end_is_told_to_wait_and_keys_are_served(
    master: LimitedMaster,
) -> None:
    with httpx.Client(base_url=master.url) as stranger:
        assert told_to_wait(refusal_of_many(stranger, "GET", "/jobs"))

    assert master.http.get("/jobs").status_code == 200


def test_jobs_beyond_the_room_of_a_key_are_refused_with_the_numbers(
    master: LimitedMaster,
) -> None:
    batch = {"jobs": [BODY] * PENDING}
    jobs = master.http.post("/jobs/batch", json=batch).json()["jobs"]

    one_more = master.http.post("/jobs", json=BODY)
    error = one_more.json()["error"]

    assert (one_more.status_code, error["code"]) == (429, "queue_full")
    assert f"{PENDING} jobs of this key wait already, at most {PENDING}" in error["message"]
    assert int(one_more.headers["Retry-After"]) >= 1
    assert master.http.get("/jobs", params={"limit": 1000}).json()["count"] == PENDING
    for job in jobs:
        master.http.post(f"/jobs/{job['id']}/cancel")
    wait_until(lambda: master.http.post("/jobs", json=BODY).status_code == 201, what="room again")


def running_with_a_long_log(master: LimitedMaster) -> tuple[str, httpx.Client]:
    """A job whose log has nearly a mebibyte, and a client of its node."""
    told, speaks = node(master, "talkative")
    wait_until(lambda: master.http.post("/jobs", json=BODY).status_code == 201, what="room")
    lease = speaks.post(
        "/claims", json={"node_id": told["id"], "epoch": 1, "claim_id": "d" * 16}
    ).json()
    text = "".join(f"{number:07} \x1b[31mfakes a line\n" for number in range(40_000))
    body = {"lease": lease["lease"], "offset": 0, "text": text[: 1 << 20]}
    path = f"/attempts/{lease['job_id']}/1/logs"
    assert speaks.post(path, json=body).status_code == 204
    return lease["job_id"], speaks


def test_hundred_followers_that_never_read_are_cut_off_and_one_more_is_told_to_wait(
    master: LimitedMaster,
) -> None:
    job, speaks = running_with_a_long_log(master)
    follow = f"/jobs/{job}/logs?follow=1"
    before, cut_off = master.memory_mebibytes(), master.refused("unread")

    with contextlib.ExitStack() as unread:
        unread.enter_context(contextlib.closing(speaks))
        for _ in range(FOLLOWERS - 1):
            one = unread.enter_context(connected(master.port, reads_little=True))
            one.sendall(asked("GET", follow))
            assert one.recv(12) == b"HTTP/1.1 200"
        with connected(master.port) as one_more:
            one_more.sendall(asked("GET", follow))
            assert status_of(one_more) == 429
        assert master.memory_mebibytes() - before < GROWTH_MEBIBYTES
        assert master.http.get(f"/jobs/{job}").json()["status"] == "running"

        wait_until(
            lambda: master.refused("unread") == cut_off + FOLLOWERS - 1, what="the end of all"
        )
        wait_until(lambda: first_event(master, follow), what="a seat for one that reads")


def first_event(master: LimitedMaster, path: str) -> bool:
    with master.http.stream("GET", path) as answer:
        return answer.status_code == 200 and next(answer.iter_text()).startswith("data: --- ")
