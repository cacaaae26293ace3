"""Commands that race with the work, and every command in every state, over the real API."""

import random
import threading
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from ffrtmp.client import MasterRefused
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import ClaimAnswer, JobAnswer
from tests.chaos.farm import ChaosFarm
from tests.chaos.hand import HandNode
from tests.waiting import wait_until

RACES = 200
REAL_RACES = 12


def outcome_of(act: Callable[[], JobAnswer | None]) -> str:
    """``ok``, or the code of the refusal."""
    try:
        act()
    except MasterRefused as refused:
        return refused.code
    return "ok"


def test_cancel_and_completion_race_two_hundred_times_and_one_of_them_wins(
    farm: ChaosFarm,
) -> None:
    rng = random.Random(200)
    with HandNode(farm, "racer") as node, ThreadPoolExecutor(2) as pool:
        for number in range(RACES):
            job = farm.submit()
            node.beat()
            lease = node.claim()
            start = threading.Barrier(2)
            # Either may be ahead by up to about what a request takes.
            head_start = rng.uniform(-0.006, 0.006)

            def canceled(job: JobAnswer = job, start: threading.Barrier = start) -> JobAnswer:
                start.wait()
                return farm.client.cancel(job.id)

            def completed(
                lease: ClaimAnswer = lease,
                start: threading.Barrier = start,
                delay: float = head_start,
            ) -> JobAnswer:
                start.wait()
                threading.Event().wait(max(0.0, delay))
                node.commit(lease)
                return node.report(lease)

            cancel = pool.submit(outcome_of, canceled)
            complete = pool.submit(outcome_of, completed)
            ended = farm.client.job(job.id) if cancel.result() and complete.result() else job

            pair = (cancel.result(), complete.result(), ended.status)
            assert pair in (
                ("ok", "stale_lease", JobStatus.CANCELED),
                ("job_state", "ok", JobStatus.COMPLETED),
            ), f"race {number}"


def test_no_file_is_left_of_a_job_whose_cancel_won(farm: ChaosFarm) -> None:
    agent = farm.start_agent("racer-2", poll_interval=0.2).ready()
    rng = random.Random(12)
    won = 0
    for _ in range(REAL_RACES):
        job = farm.submit()
        farm.wait_for(job, JobStatus.RUNNING, JobStatus.COMMITTING, JobStatus.COMPLETED)
        threading.Event().wait(rng.uniform(0.0, 0.4))
        cancel = outcome_of(lambda job=job: farm.client.cancel(job.id))  # type: ignore[misc]
        ended = farm.wait_for(job, JobStatus.CANCELED, JobStatus.COMPLETED)
        wait_until(lambda: not agent.ffmpegs(), what="ffmpeg to end")
        won += cancel == "ok"

        assert (cancel == "ok") == (ended.status is JobStatus.CANCELED)
    wait_until(lambda: not agent.parts(), what="temporary files to go")

    assert len(list((agent.state / "output").iterdir())) == REAL_RACES - won


STATES = (
    JobStatus.PENDING,
    JobStatus.RUNNING,
    JobStatus.COMMITTING,
    JobStatus.COMPLETED,
    JobStatus.FAILED,
    JobStatus.CANCELED,
)
OK = "ok"
REFUSED = "job_state"
# What cancel, retry and reprioritize answer in each state, and the state after them.
ANSWERS: dict[JobStatus, dict[str, tuple[str, JobStatus]]] = {
    JobStatus.PENDING: {
        "cancel": (OK, JobStatus.CANCELED),
        "retry": (OK, JobStatus.PENDING),
        "reprioritize": (OK, JobStatus.PENDING),
    },
    JobStatus.RUNNING: {
        "cancel": (OK, JobStatus.CANCELED),
        "retry": (REFUSED, JobStatus.RUNNING),
        "reprioritize": (REFUSED, JobStatus.RUNNING),
    },
    JobStatus.COMMITTING: {
        "cancel": (REFUSED, JobStatus.COMMITTING),
        "retry": (REFUSED, JobStatus.COMMITTING),
        "reprioritize": (REFUSED, JobStatus.COMMITTING),
    },
    JobStatus.COMPLETED: {
        "cancel": (REFUSED, JobStatus.COMPLETED),
        "retry": (REFUSED, JobStatus.COMPLETED),
        "reprioritize": (REFUSED, JobStatus.COMPLETED),
    },
    JobStatus.FAILED: {
        "cancel": (REFUSED, JobStatus.FAILED),
        "retry": (OK, JobStatus.PENDING),
        "reprioritize": (REFUSED, JobStatus.FAILED),
    },
    JobStatus.CANCELED: {
        "cancel": (OK, JobStatus.CANCELED),
        "retry": (OK, JobStatus.PENDING),
        "reprioritize": (REFUSED, JobStatus.CANCELED),
    },
}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("command", ["cancel", "retry", "reprioritize"])
def test_every_command_has_its_answer_in_every_state_and_twice_is_once(
    farm: ChaosFarm, state: JobStatus, command: str
) -> None:
    commands: dict[str, Callable[[str], JobAnswer]] = {
        "cancel": farm.client.cancel,
        "retry": farm.client.retry,
        "reprioritize": lambda job: farm.client.reprioritize(job, queue="live", priority="low"),
    }
    answer, after = ANSWERS[state][command]
    with HandNode(farm, f"hand-{uuid.uuid4().hex[:8]}") as node:
        job = in_state(farm, node, state)
        first = outcome_of(lambda: commands[command](job.id))
        once = farm.client.job(job.id)
        second = outcome_of(lambda: commands[command](job.id))
        twice = farm.client.job(job.id)
        if twice.status is JobStatus.PENDING:
            farm.client.cancel(job.id)

    assert (first, once.status) == (answer, after)
    assert second == answer
    # How long it still waits, and for how many slots, is the farm's to say.
    theirs = {"waiting", "waiting_reason"}
    assert twice.model_dump(exclude=theirs) == once.model_dump(exclude=theirs)


def claimed(node: HandNode, job: JobAnswer) -> ClaimAnswer:
    """This job's lease; one that another test left in commit comes first when its lease is over."""
    while (lease := node.claim()).job_id != job.id:
        node.report(lease, status="failed", failure_reason="bad_input", error="left by a test")
    return lease


def in_state(farm: ChaosFarm, node: HandNode, state: JobStatus) -> JobAnswer:
    job = farm.submit()
    if state is JobStatus.CANCELED:
        farm.client.cancel(job.id)
    if state not in (JobStatus.PENDING, JobStatus.CANCELED):
        lease = claimed(node, job)
        if state in (JobStatus.COMMITTING, JobStatus.COMPLETED):
            node.commit(lease)
        if state is JobStatus.COMPLETED:
            node.report(lease)
        if state is JobStatus.FAILED:
            node.report(lease, status="failed", failure_reason="bad_input", error="it broke")
    found = farm.client.job(job.id)
    assert found.status is state
    return found
