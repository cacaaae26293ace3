"""Parts of the master die, are away for long, are there twice, or lag."""

import os
import signal
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager

import pytest

from ffrtmp.broker.app import control_app
from ffrtmp.broker.messages import RECONCILE_TASK
from ffrtmp.client import MasterUnreachable
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.hint import CONTROL_QUEUE
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import ClaimAnswer
from tests.chaos.farm import PASS_SECONDS, ChaosFarm, Part
from tests.chaos.hand import HandNode
from tests.integration.agents import kill_tree
from tests.waiting import wait_until

NODE_TIMEOUT = 3.0
FARM_SETTINGS = {"node_timeout": NODE_TIMEOUT}
"""Silence is found out soon."""
OUTAGE_SECONDS = 2 * NODE_TIMEOUT
NEVER = 3600.0
PASSES_DUE = 720
LOST_AT_ONCE = 200
CLAIMS_PER_BEAT = 10
BODY = {"scenario": "360p30-h264", "parameters": {"duration": 0.1}}


def events_of(farm: ChaosFarm, *kinds: EventKind) -> list[Event]:
    with farm.store() as store, store.read() as tx:
        return [event for event in tx.events.after(0, limit=1_000_000) if event.kind in kinds]


def last_event(farm: ChaosFarm) -> int:
    with farm.store() as store, store.read() as tx:
        return max((event.id or 0 for event in tx.events.after(0, limit=1_000_000)), default=0)


def passes(farm: ChaosFarm) -> float:
    """A number that every finished pass changes."""
    with farm.store() as store, store.read() as tx:
        return float(tx.clock.read().last_pass_at.timestamp())


@contextmanager
def suspended(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def away(farm: ChaosFarm, *parts: Part) -> Iterator[None]:
    """Killed, and started again."""
    for part in parts:
        part.kill()
    yield
    for part in parts:
        part.start()
    farm.wait_until_ready()


@contextmanager
def late(farm: ChaosFarm) -> Iterator[None]:
    """A control worker that hangs, and beat's messages with it: the next pass is late."""
    assert farm.control.process is not None
    with suspended(farm.control.process.popen.pid):
        yield


OUTAGES: dict[str, Callable[[ChaosFarm], AbstractContextManager[None]]] = {
    "api": lambda farm: away(farm, farm.api),
    "control": lambda farm: away(farm, farm.control),
    "beat": lambda farm: away(farm, farm.beat),
    "control-and-beat": lambda farm: away(farm, farm.control, farm.beat),
    "late-pass": late,
}


@pytest.mark.parametrize(
    "outage",
    [
        "api",
        "control-and-beat",
        "late-pass",
        pytest.param("control", marks=pytest.mark.slow),
        pytest.param("beat", marks=pytest.mark.slow),
    ],
)
def test_an_outage_longer_than_the_node_timeout_declares_nobody_offline(
    farm: ChaosFarm, outage: str
) -> None:
    name = f"through-{outage}"
    agent = farm.start_agent(name).ready()
    node = farm.client.node(name)
    encode = farm.submit("1080p30-h264", duration=3600)
    wait_until(agent.ffmpegs, what="an ffmpeg")
    since = last_event(farm)
    with OUTAGES[outage](farm):
        time.sleep(OUTAGE_SECONDS)
    before = passes(farm)
    wait_until(lambda: passes(farm) > before + NODE_TIMEOUT / 2, what="passes again")
    seen = farm.client.job(encode.id)
    # Only its own: the agent of the test before is found silent at about this time.
    offline = [
        e
        for e in events_of(farm, EventKind.NODE_OFFLINE)
        if (e.id or 0) > since and e.node_id == node.id
    ]

    assert (seen.status, seen.attempt) == (JobStatus.RUNNING, 1)
    assert offline == []


def test_a_lost_node_is_found_without_beat(farm: ChaosFarm) -> None:
    agent = farm.start_agent("beatless").ready()
    job = farm.submit("1080p30-h264", duration=3600)
    wait_until(agent.ffmpegs, what="an ffmpeg")
    with away(farm, farm.beat):
        kill_tree(agent)

        lost = farm.wait_for(job, JobStatus.PENDING)

    assert (lost.attempt, lost.retry_count) == (1, 1)


def test_work_goes_on_without_control_and_a_node_lost_meanwhile_gets_a_full_timeout(
    farm: ChaosFarm,
) -> None:
    agent = farm.start_agent("lonely", poll_interval=0.2).ready()
    farm.control.kill()
    farm.beat.kill()
    job = farm.submit()
    done = farm.wait_for(job, JobStatus.COMPLETED)
    time.sleep(NODE_TIMEOUT)
    agent.kill()
    node = farm.client.node("lonely")
    time.sleep(OUTAGE_SECONDS)
    since = last_event(farm)
    before = passes(farm)
    farm.control.start()
    farm.beat.start()
    wait_until(lambda: passes(farm) > before, what="the first pass")
    # Read after the pass was made: a lower bound of what the node is given.
    first_pass = passes(farm)
    (offline,) = wait_until(
        lambda: [
            e
            for e in events_of(farm, EventKind.NODE_OFFLINE)
            if (e.id or 0) > since and e.node_id == node.id
        ],
        what="the node to be offline",
    )

    assert done.attempt == 1
    assert offline.at.timestamp() - first_pass >= NODE_TIMEOUT - 2 * PASS_SECONDS


def test_two_controls_and_two_beats_make_every_transition_once(farm: ChaosFarm) -> None:
    twins = [
        Part(farm.settings.model_copy(update={}), only, farm.folder) for only in ("control", "beat")
    ]
    for twin in twins:
        twin.start()
    since = last_event(farm)
    try:
        agents = [farm.start_agent(f"twin-{n}", slots=2).ready() for n in range(2)]
        jobs = [farm.submit("720p30-h264", duration=3600) for _ in range(4)]
        for job in jobs:
            farm.wait_for(job, JobStatus.RUNNING)
        for agent in agents:
            agent.kill()
        lost = {farm.client.node(f"twin-{n}").id for n in range(2)}
        for job in jobs:
            farm.wait_for(job, JobStatus.PENDING)
        wait_until(
            lambda: all(n.status == "offline" for n in farm.client.nodes().nodes if n.id in lost),
            what="both nodes to be offline",
        )
    finally:
        for twin in twins:
            twin.kill()
    new = [
        e
        for e in events_of(farm, EventKind.NODE_OFFLINE, EventKind.JOB_RETRY_SCHEDULED)
        if (e.id or 0) > since
    ]

    # Only those: the agent of the test before may be found silent meanwhile.
    offline = [e.node_id for e in new if e.kind is EventKind.NODE_OFFLINE and e.node_id in lost]
    assert Counter(offline) == dict.fromkeys(lost, 1)
    retried = [e for e in new if e.kind is EventKind.JOB_RETRY_SCHEDULED]
    assert Counter((e.job_id, e.attempt) for e in retried) == {(job.id, 1): 1 for job in jobs}


def test_a_job_whose_master_died_between_commit_and_ring_is_rung_by_a_pass(
    farm: ChaosFarm,
) -> None:
    farm.start_agent("rung", poll_interval=NEVER).ready()
    # By then its first question, which nobody rang for, is long answered.
    farm.wait_for_listeners(1)
    farm.control.kill()
    since = last_event(farm)
    with ThreadPoolExecutor(1) as pool, suspended(farm.broker.pid):
        asked = pool.submit(farm.submit)
        wait_until(
            lambda: [e for e in events_of(farm, EventKind.JOB_SUBMITTED) if (e.id or 0) > since],
            what="the commit",
        )
        farm.api.kill()
        with pytest.raises(MasterUnreachable):
            asked.result()
    farm.api.start()
    farm.wait_until_ready()
    (event,) = [e for e in events_of(farm, EventKind.JOB_SUBMITTED) if (e.id or 0) > since]
    job = farm.client.job(str(event.job_id))
    was_rung = job.status is not JobStatus.PENDING
    farm.control.start()
    done = farm.wait_for(job, JobStatus.COMPLETED)

    assert not was_rung
    assert done.attempt == 1


def test_a_submit_whose_master_died_before_the_commit_stores_nothing_and_its_retry_one_job(
    farm: ChaosFarm,
) -> None:
    key = uuid.uuid4().hex
    since = last_event(farm)
    other = sqlite3.connect(farm.folder / "farm.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with ThreadPoolExecutor(1) as pool:
        asked = pool.submit(farm.client.submit, BODY, idempotency_key=key)
        # It has arrived and waits for the lock as soon as another request was answered.
        threading.Event().wait(0.5)
        farm.client.health()
        assert not asked.done()
        farm.api.kill()
        with pytest.raises(MasterUnreachable):
            asked.result()
    other.close()
    stored = [e for e in events_of(farm, EventKind.JOB_SUBMITTED) if (e.id or 0) > since]
    farm.api.start()
    farm.wait_until_ready()
    first = farm.client.submit(BODY, idempotency_key=key)
    again = farm.client.submit(BODY, idempotency_key=key)

    assert stored == []
    assert first.id == again.id


def test_a_pass_killed_in_the_middle_is_completed_by_the_next(farm: ChaosFarm) -> None:
    with HandNode(farm, "half", slots=LOST_AT_ONCE) as node:
        farm.client.submit_batch([BODY] * LOST_AT_ONCE)
        since = last_event(farm)
        held: list[ClaimAnswer] = []
        for _ in range(LOST_AT_ONCE):
            held.append(node.claim())
            if len(held) % CLAIMS_PER_BEAT == 0:
                # The last of these renews all leases, so that one pass has to end them all.
                node.beat(*held)

    def lost() -> list[Event]:
        found = events_of(farm, EventKind.JOB_RETRY_SCHEDULED)
        return [event for event in found if (event.id or 0) > since]

    wait_until(lost, what="the pass to begin")
    farm.control.kill()
    in_the_middle = len(lost())
    farm.control.start()
    wait_until(lambda: len(lost()) >= LOST_AT_ONCE, what="the next pass")

    assert in_the_middle < LOST_AT_ONCE
    assert Counter(e.job_id for e in lost()).most_common(1)[0][1] == 1


def test_passes_that_were_due_all_at_once_do_not_pile_up(farm: ChaosFarm) -> None:
    """A control worker that hung for an hour finds the messages of that hour."""
    app = control_app(farm.broker.url, scheduler_interval_seconds=PASS_SECONDS)
    assert farm.control.process is not None
    with suspended(farm.control.process.popen.pid), app.connection_for_write() as connection:
        for _ in range(PASSES_DUE):
            app.send_task(
                RECONCILE_TASK,
                queue=CONTROL_QUEUE,
                expires=PASS_SECONDS,
                ignore_result=True,
                connection=connection,
            )
        time.sleep(2 * PASS_SECONDS)
    with farm.broker.client() as broker:
        wait_until(lambda: broker.llen(CONTROL_QUEUE) <= 2, what="an empty control queue")
    before = passes(farm)
    farm.start_agent("after", poll_interval=NEVER).ready()
    done = farm.wait_for(farm.submit(), JobStatus.COMPLETED)

    assert done.attempt == 1
    wait_until(lambda: passes(farm) > before, what="passes again")
