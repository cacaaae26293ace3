"""Everybody at once: registrations, claims and results of two hundred nodes; many jobs waiting."""

import contextlib
import random
import threading
import uuid
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from ffrtmp.domain.event import EventKind
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.ranking import Priority, Queue, rank_of
from ffrtmp.schemas import JobAnswer
from tests.chaos.conftest import MakeFarm
from tests.chaos.farm import ChaosFarm
from tests.chaos.hand import SHA256
from tests.integration.agents import KEY
from tests.postgresql import PostgreSql
from tests.waiting import wait_until

NODES = 200
WAITING = 300
MANY_WAITING = 10_000
AGAIN_SECONDS = 0.2


class Crowd:
    """Nodes that send the same request at the same moment, and again while told to."""

    def __init__(self, farm: ChaosFarm) -> None:
        limits = httpx.Limits(max_connections=NODES)
        self._http = httpx.Client(base_url=farm.url, timeout=60, limits=limits)
        self._pool = ThreadPoolExecutor(NODES)
        self.refusals: list[str] = []

    def close(self) -> None:
        self._pool.shutdown()
        self._http.close()

    def all_post(self, requests: list[tuple[str, str, dict[str, Any]]]) -> list[Any]:
        """The final answers to (path, key, body)s that were posted together."""
        start = threading.Barrier(len(requests))

        def post(request: tuple[str, str, dict[str, Any]]) -> Any:
            path, key, body = request
            headers = {"Authorization": f"Bearer {key}"}
            start.wait()
            while True:
                with contextlib.suppress(httpx.TransportError):
                    answer = self._http.post(path, json=body, headers=headers)
                    if answer.status_code != 503:
                        self.refusals += [] if answer.is_success else [f"{path}: {answer.text}"]
                        return answer.json()
                threading.Event().wait(random.uniform(0, AGAIN_SECONDS))

        return list(self._pool.map(post, requests))


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)])
def rushed(request: pytest.FixtureRequest, make_farm: MakeFarm) -> ChaosFarm:
    """A farm on each database, in which nobody is found silent meanwhile."""
    if request.param == "sqlite":
        return make_farm(node_timeout=600)
    server: PostgreSql = request.getfixturevalue("postgresql")
    return make_farm(node_timeout=600, db=server.new_database("rush"))


def test_two_hundred_nodes_register_claim_and_report_at_once_and_each_counts_once(
    rushed: ChaosFarm,
) -> None:
    farm = rushed
    farm.client.submit_batch([{"scenario": "360p30-h264"}] * NODES)
    crowd = Crowd(farm)
    nodes = [
        {"node_id": str(uuid.uuid4()), "node_token": uuid.uuid4().hex, "address": f"rush-{n}"}
        for n in range(NODES)
    ]
    tokens = [node["node_token"] for node in nodes]
    try:
        registered = crowd.all_post([("/nodes/register", KEY, node) for node in nodes])
        claims = [
            {"node_id": node["id"], "epoch": node["epoch"], "claim_id": uuid.uuid4().hex}
            for node in registered
        ]
        leases = crowd.all_post(
            [("/claims", key, body) for key, body in zip(tokens, claims, strict=True)]
        )
        accept = {"sha256": SHA256, "size": 1}
        crowd.all_post(
            [
                (
                    f"/attempts/{one['job_id']}/{one['attempt']}/commit",
                    key,
                    {"lease": one["lease"]} | accept,
                )
                for key, one in zip(tokens, leases, strict=True)
            ]
        )
        results = [
            {
                "job_id": one["job_id"],
                "node_id": node["id"],
                "attempt": one["attempt"],
                "lease": one["lease"],
                "status": "completed",
            }
            | accept
            for node, one in zip(registered, leases, strict=True)
        ]
        said = [("/results", key, body) for key, body in zip(tokens, results, strict=True)]
        crowd.all_post(said)
        crowd.all_post(said)
    finally:
        crowd.close()
    jobs = farm.client.jobs(limit=1000).jobs

    assert crowd.refusals == []
    assert len(farm.client.nodes().nodes) == NODES
    assert [(job.status, job.attempt) for job in jobs] == [(JobStatus.COMPLETED, 1)] * NODES
    assert len({job.node_id for job in jobs}) == NODES


@pytest.mark.timeout(3600)
@pytest.mark.parametrize("count", [WAITING, pytest.param(MANY_WAITING, marks=pytest.mark.slow)])
def test_jobs_that_waited_for_any_agent_start_in_rank_order(farm: ChaosFarm, count: int) -> None:
    rng = random.Random(count)
    order = [(queue, priority) for queue in Queue for priority in Priority]
    bodies: list[Mapping[str, Any]] = [
        {
            "scenario": "360p30-h264",
            "queue": queue,
            "priority": priority,
            # An input that is not there: such a job starts, and fails for good at once.
            "parameters": {"input": "/nowhere/at-all.mp4"},
        }
        for queue, priority in (rng.choice(order) for _ in range(count))
    ]
    jobs = [
        job
        for start in range(0, count, 100)
        for job in farm.client.submit_batch(bodies[start : start + 100]).jobs
    ]
    for number in range(2):
        farm.start_agent(f"late-{count}-{number}", slots=2)
    wait_until(
        lambda: not any(line.waiting for line in farm.client.queues().queues),
        seconds=60 + count / 5,
        what="every job to have started",
    )

    assert claimed(farm, jobs) == sorted(jobs, key=lambda job: (job_rank(job), job.sequence_number))


def job_rank(job: JobAnswer) -> int:
    return rank_of(job.queue, job.priority)


def claimed(farm: ChaosFarm, jobs: list[JobAnswer]) -> list[JobAnswer]:
    """These jobs, in the order they were claimed."""
    known = {job.id: job for job in jobs}
    with farm.store() as store, store.read() as tx:
        events = tx.events.after(0, limit=1_000_000)
    ids = [event.job_id for event in events if event.kind is EventKind.JOB_CLAIMED]
    return [known[str(job_id)] for job_id in ids if job_id in known]
