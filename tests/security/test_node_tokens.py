"""A node with a right token that says and asks what is not its own, at a real master."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from ffrtmp.domain.job import JobStatus
from tests.integration.agents import KEY, LONG, AgentProcess, Master, job_with, kill_tree
from tests.security.visitors import Visitor, visitors
from tests.waiting import wait_until

SHA = "a" * 64
OTHER_SHA = "b" * 64
NOBODY = "00000000-0000-7000-8000-00000000dead"


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    running = Master(tmp_path_factory.mktemp("nodes"), node_timeout=60)
    try:
        yield running
    finally:
        running.close()
        kill_tree(running)


@dataclass
class Node:
    """A node that a test speaks for."""

    visitor: Visitor
    id: str
    token: str
    epoch: int

    def says(self, path: str, body: Any) -> httpx.Response:
        return self.visitor.post(path, self.token, body)

    def claim(self, claim_id: str = "c" * 16, **more: Any) -> httpx.Response:
        body = {"node_id": self.id, "epoch": self.epoch, "claim_id": claim_id}
        return self.says("/claims", body | more)

    def result(self, held: dict[str, Any], **more: Any) -> httpx.Response:
        body = {
            "job_id": held["job_id"],
            "node_id": self.id,
            "attempt": held["attempt"],
            "lease": held["lease"],
            "status": "completed",
            "sha256": SHA,
            "size": 7,
        }
        return self.says("/results", body | more)

    def commit(self, held: dict[str, Any], **more: Any) -> httpx.Response:
        body = {"lease": held["lease"], "size": 7, "sha256": SHA}
        return self.says(f"/attempts/{held['job_id']}/{held['attempt']}/commit", body | more)


@pytest.fixture
def nodes(master: Master, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Node]]:
    """``nodes(name)``: a new node, removed with whatever it holds at the test's end."""
    made: list[Node] = []
    with visitors(master.url) as come:

        def node(name: str) -> Node:
            visitor = come()
            body = {"address": f"{name}-{request.node.name}"[:200]}
            answer = visitor.post("/nodes/register", KEY, body).json()
            made.append(Node(visitor, answer["id"], answer["node_token"], answer["epoch"]))
            return made[-1]

        yield node
        for job in master.client.jobs(status="pending").jobs:
            master.client.cancel(job.id)
        for one in made:
            master.client.revoke_node(one.id)
            master.client.remove_node(one.id)
        for job in master.client.jobs(status="pending").jobs:
            master.client.cancel(job.id)


def held_by(master: Master, node: Node) -> dict[str, Any]:
    """A job under a lease of this node."""
    master.client.submit({"scenario": "720p"})
    answer = node.claim()
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


def state(master: Master, held: dict[str, Any]) -> tuple[Any, ...]:
    """What of a job and its attempt could have been changed."""
    job = master.client.job(held["job_id"])
    (attempt,) = master.client.attempts(held["job_id"]).attempts
    events = len(master.client.events(held["job_id"]).events)
    log = master.client.logs(held["job_id"]).logs
    return job.status, job.node_id, job.result, attempt, events, log


def test_token_of_another_node_is_forbidden_everything_and_changes_nothing(
    master: Master, nodes: Callable[[str], Node]
) -> None:
    owner, thief = nodes("owner"), nodes("thief")
    held = held_by(master, owner)
    before = state(master, held)
    attempt = f"/attempts/{held['job_id']}/{held['attempt']}"
    lease = held["lease"]
    beat = {"epoch": owner.epoch, "seq": 1, "attempts": []}
    claim = {"node_id": owner.id, "epoch": owner.epoch, "claim_id": "d" * 16}
    result = {
        "job_id": held["job_id"],
        "attempt": held["attempt"],
        "lease": lease,
        "status": "failed",
        "failure_reason": "encoder",
        "error": "never happened",
    }
    asked = [
        ("/claims", claim),
        (f"/nodes/{owner.id}/heartbeat", beat),
        (f"{attempt}/commit", {"lease": lease, "size": 7, "sha256": SHA}),
        (f"{attempt}/release", {"lease": lease, "reason": "mine"}),
        (f"{attempt}/logs", {"lease": lease, "offset": 0, "text": "forged"}),
        ("/results", result | {"node_id": owner.id}),
        ("/results", result | {"node_id": thief.id}),
    ]

    for path, body in asked:
        assert thief.says(path, body).status_code == 403, path
    assert state(master, held) == before
    assert owner.commit(held).status_code == 200


def test_token_of_a_node_is_no_key_for_people(master: Master, nodes: Callable[[str], Node]) -> None:
    node = nodes("node")
    for method, path, body in (
        ("POST", "/jobs", {"scenario": "720p"}),
        ("GET", "/jobs", None),
        ("GET", "/nodes", None),
        ("GET", "/events", None),
        ("GET", "/keys", None),
        ("POST", "/keys", {"name": "mine", "role": "admin"}),
        ("POST", "/queues/live/pause", None),
        ("POST", f"/nodes/{node.id}/undrain", None),
        ("DELETE", f"/nodes/{node.id}", None),
        ("POST", "/nodes/register", {"address": "another"}),
    ):
        answer = node.visitor.ask(path, node.token, method=method, json=body)
        assert answer.status_code == 403, path
    assert all(key.name != "mine" for key in master.client.keys().keys)


def test_no_key_speaks_for_a_node(master: Master, nodes: Callable[[str], Node]) -> None:
    node = nodes("node")
    for role in ("admin", "submit", "read", "node"):
        key = master.client.create_key(f"as-node-{role}", role=role).key
        body = {"node_id": node.id, "epoch": node.epoch, "claim_id": "c" * 16}
        assert node.visitor.post("/claims", key, body).status_code == 403
        master.client.revoke_key(f"as-node-{role}")


def test_claim_of_a_node_that_is_unknown_drained_or_unable_gets_nothing(
    master: Master, nodes: Callable[[str], Node]
) -> None:
    node = nodes("node")
    job = master.client.submit({"scenario": "720p", "parameters": {"hardware": "gpu"}})
    assert node.claim("a" * 16).status_code == 204
    assert node.claim("b" * 16, device="gpu0").status_code == 422
    assert node.visitor.post("/claims", "unknown", {}).status_code == 401
    master.client.drain(node.id)
    refused = node.claim("d" * 16)

    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "node_not_accepting")
    assert master.client.job(job.id).status == "pending"


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"status": "banana"}, 422),
        ({"attempt": 2}, 404),
        ({"attempt": -1}, 422),
        ({"job_id": NOBODY}, 404),
        ({"lease": "x" * 32}, 409),
        ({"status": "failed", "failure_reason": "bad luck"}, 422),
        ({"size": -7}, 422),
        ({"sha256": "nonsense"}, 422),
        ({"exit_code": "seven"}, 422),
        ({"logs": "x" * (9 << 20)}, 413),
        ({"metrics": {"a": {"b": [[[[[[[[[1]]]]]]]]]}}}, 422),
    ],
)
def test_result_that_cannot_be_is_refused_and_changes_nothing(
    master: Master, nodes: Callable[[str], Node], said: dict[str, Any], status: int
) -> None:
    node = nodes("node")
    held = held_by(master, node)
    before = state(master, held)

    assert node.result(held, **said).status_code == status
    assert state(master, held) == before


@pytest.mark.parametrize(
    "said", ['"progress":7', '"progress":-1', '"progress":1e999', '"fps":-1', '"speed":"x"']
)
def test_progress_that_cannot_be_is_refused(
    master: Master, nodes: Callable[[str], Node], said: str
) -> None:
    node = nodes("node")
    held = held_by(master, node)
    before = state(master, held)
    listed = f'{{"job_id":"{held["job_id"]}","attempt":1,{said}}}'
    answer = node.visitor.http.post(
        f"/nodes/{node.id}/heartbeat",
        content=f'{{"epoch":{node.epoch},"seq":1,"attempts":[{listed}]}}',
        headers={"Authorization": f"Bearer {node.token}", "Content-Type": "application/json"},
    )

    assert answer.status_code == 422
    assert state(master, held) == before


def test_result_of_a_job_that_nobody_claimed_is_not_found(
    master: Master, nodes: Callable[[str], Node]
) -> None:
    node = nodes("node")
    job = master.client.submit({"scenario": "720p"})
    answer = node.result({"job_id": job.id, "attempt": 1, "lease": "x" * 32})

    assert answer.status_code == 404
    assert master.client.job(job.id).status == "pending"


def test_node_that_reports_another_file_than_it_committed_is_refused(
    master: Master, nodes: Callable[[str], Node]
) -> None:
    node = nodes("node")
    held = held_by(master, node)
    assert node.result(held).json()["error"]["code"] == "not_committed"
    assert node.commit(held).status_code == 200
    before = state(master, held)

    for lie in ({"sha256": OTHER_SHA}, {"size": 8}):
        answer = node.result(held, **lie)
        assert (answer.status_code, answer.json()["error"]["code"]) == (409, "hash_conflict")
    assert node.commit(held, sha256=OTHER_SHA).status_code == 409
    assert state(master, held) == before


def test_what_a_node_says_it_made_stands_in_the_history_to_be_compared(
    master: Master, nodes: Callable[[str], Node]
) -> None:
    node = nodes("liar")
    held = held_by(master, node)
    node.commit(held)
    assert node.result(held, metrics={"sha256": OTHER_SHA, "size_bytes": 1}).status_code == 200

    # The master does not see the file. Whoever does can hold it against these.
    result = master.client.job(held["job_id"]).result or {}
    assert (result["sha256"], result["size_bytes"]) == (SHA, 7)
    said = {
        event.kind: (event.node_id, event.data)
        for event in master.client.events(held["job_id"]).events
    }
    for kind in ("job.committing", "job.completed"):
        assert said[kind] == (node.id, {"sha256": SHA, "size_bytes": 7})


def test_revoked_node_stops_and_its_job_is_done_elsewhere(
    master: Master, nodes: Callable[[str], Node], tmp_path: Any
) -> None:
    key = master.client.create_key("hosts", role="node").key
    agent = AgentProcess(master.url, tmp_path / "revoked", api_key=key)
    try:
        agent.ready()
        job = job_with(master, master.client.submit(LONG), JobStatus.RUNNING)
        encoders = wait_until(agent.ffmpegs, what="ffmpeg to run")
        master.client.revoke_node("revoked")

        other = nodes("other")
        held = wait_until(lambda: claimed(other), what="the job to be claimed elsewhere")
        assert (held["job_id"], held["attempt"]) == (job.id, 2)
        assert other.commit(held).status_code == 200
        assert other.result(held).json()["status"] == "completed"
        # It hears of it at its next word, ends what it runs, and does not come back by itself.
        assert agent.popen.wait(30) == 5
        assert not any(encoder.is_running() for encoder in encoders)
    finally:
        kill_tree(agent)
        master.client.remove_node("revoked")
        master.client.revoke_key("hosts")


def claimed(node: Node) -> dict[str, Any] | None:
    answer = node.claim("e" * 16)
    return dict(answer.json()) if answer.status_code == 200 else None
