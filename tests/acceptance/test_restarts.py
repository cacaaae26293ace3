"""Masters, agents and hosts that go away and come back, or do not."""

import signal
from functools import partial

import pytest

from ffrtmp.schemas import JobAnswer
from tests.acceptance.terminals import Terminals
from tests.waiting import wait_until

LONG = "1h"
TWENTY_SECONDS = {"scenario": "test-720p", "parameters": {"duration": "20s"}}
GRACEFUL = pytest.param(signal.SIGINT, marks=pytest.mark.slow)
"""The gentler case of what ``kill -9`` shows as well."""


@pytest.mark.parametrize("number", [GRACEFUL, signal.SIGKILL])
def test_a_master_restarted_mid_encode_gets_the_result_of_that_encode(
    terminals: Terminals, number: signal.Signals
) -> None:
    master = terminals.master()
    terminals.agent("--slots", "1")
    job = terminals.client.submit(TWENTY_SECONDS)
    (encode,) = wait_until(terminals.ffmpegs, what="an ffmpeg")
    encode.suspend()  # so that it is mid-encode for as long as the master is away
    if number is signal.SIGKILL:
        master.kill()
    else:
        master.stop(number)
    master.start()
    terminals.wait_for_api(master)
    encode.resume()
    ended = terminals.wait_for(job.id, seconds=120)

    assert ended.status == "completed"
    assert [a.outcome for a in terminals.client.attempts(job.id).attempts] == ["completed"]


@pytest.mark.parametrize("number", [GRACEFUL, signal.SIGKILL])
def test_a_restarted_agent_is_the_same_node_and_goes_on(
    terminals: Terminals, number: signal.Signals
) -> None:
    terminals.master("--node-timeout", "5s", "--retry-base", "100ms")
    agent = terminals.agent("--slots", "1", "--drain-timeout", "100ms")
    (before,) = terminals.client.nodes().nodes
    job = terminals.client.submit(TWENTY_SECONDS)
    wait_until(terminals.ffmpegs, what="an ffmpeg")
    if number is signal.SIGKILL:
        agent.kill()
    else:
        agent.stop(number)
    agent.start()
    terminals.wait_for_node("node-1", agent)
    ended = terminals.wait_for(job.id, seconds=120)
    (after,) = terminals.client.nodes().nodes

    assert after.id == before.id
    assert ended.status == "completed"
    assert ended.attempt == 2
    assert ended.retry_count == (1 if number is signal.SIGKILL else 0)


def test_a_lost_nodes_job_runs_elsewhere_after_the_node_timeout(terminals: Terminals) -> None:
    terminals.master("--node-timeout", "4s", "--retry-base", "100ms")
    lost = terminals.agent("--slots", "1", "--busy-heartbeat-interval", "1s", address="east")
    job = terminals.submit(scenario="test-720p", duration=LONG)
    wait_until(terminals.ffmpegs, what="an ffmpeg")
    lost.kill()
    terminals.agent("--slots", "1", "--heartbeat-interval", "1s", address="west")
    moved = wait_until(partial(_runs_on, terminals, job["id"], "west"), what="the job to move")
    statuses = {node.address: node.status for node in terminals.client.nodes().nodes}
    first = terminals.client.attempts(job["id"]).attempts[0]
    terminals.client.cancel(job["id"])

    assert statuses["east"] == "offline"
    assert (first.node_name, first.outcome) == ("east", "node_lost")
    assert moved.retry_count == 1


@pytest.mark.slow
def test_a_job_whose_nodes_are_all_lost_ends_after_the_allowed_retries(
    terminals: Terminals,
) -> None:
    terminals.master("--node-timeout", "4s", "--retry-base", "100ms", "--max-retries", "1")
    job = terminals.submit(scenario="test-720p", duration=LONG)
    for address in ("east", "west"):
        agent = terminals.agent("--slots", "1", "--busy-heartbeat-interval", "1s", address=address)
        wait_until(partial(_runs_on, terminals, job["id"], address), what="the job to run there")
        agent.kill()
    ended = terminals.wait_for(job["id"])

    assert (ended.status, ended.failure_reason) == ("failed", "node_lost")
    assert [a.outcome for a in terminals.client.attempts(job["id"]).attempts] == ["node_lost"] * 2


def _runs_on(terminals: Terminals, job_id: str, node: str) -> JobAnswer | None:
    job = terminals.client.job(job_id)
    return job if job.node_name == node else None
