"""Attempts that make room, stand still and go on, on real agents."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import JobAnswer
from tests.chaos.conftest import MakeFarm
from tests.chaos.farm import ChaosFarm
from tests.chaos.inputs import bad_server
from tests.integration.agents import AgentProcess
from tests.waiting import wait_until

STALL_SECONDS = 3.0
FARM_SETTINGS = {"preempt": "batch", "stall_timeout": STALL_SECONDS, "node_timeout": 30.0}
LONG = {"scenario": "720p30-h264", "parameters": {"duration": 40, "preset": "ultrafast"}}
SHORT = {"scenario": "360p30-h264", "parameters": {"duration": 0.1}}
ENDLESS = {"scenario": "1080p30-h264", "parameters": {"duration": 3600}}
MAX_WAIT = 8.0


def submit(farm: ChaosFarm, queue: str, body: Mapping[str, Any], **more: Any) -> JobAnswer:
    return farm.client.submit({**body, "queue": queue, **more})


def running(farm: ChaosFarm, job: JobAnswer) -> JobAnswer:
    """The job, once some of it is encoded."""

    def moves() -> JobAnswer | None:
        found = farm.client.job(job.id)
        return found if found.progress > 0 else None

    return wait_until(moves, what="progress")


def stopped(agent: AgentProcess) -> list[psutil.Process]:
    return [one for one in agent.ffmpegs() if one.status() == psutil.STATUS_STOPPED]


def test_live_job_takes_the_slot_of_a_batch_encode_that_goes_on_afterwards(
    farm: ChaosFarm,
) -> None:
    agent = farm.start_agent("only").ready()
    batch = running(farm, submit(farm, "batch", LONG))
    live = submit(farm, "live", SHORT)
    suspended = farm.client.job(batch.id)
    wait_until(lambda: stopped(agent), what="a suspended ffmpeg")
    ended = farm.wait_for(live, JobStatus.COMPLETED)
    done = farm.wait_for(batch, JobStatus.COMPLETED, seconds=120)

    assert suspended.status is JobStatus.PAUSED
    assert "suspended to make room" in (suspended.waiting_reason or "")
    assert ended.completed_at is not None
    assert done.completed_at is not None
    assert done.completed_at > ended.completed_at
    assert (done.attempt, done.retry_count) == (1, 0)


def test_batch_encode_of_a_remote_input_is_given_back_without_spending_a_retry(
    farm: ChaosFarm, tmp_path: Path
) -> None:
    farm.start_agent("only").ready()
    with bad_server(tmp_path) as server:
        # a slower preset shows no first frame for half of the stall limit, on a quiet machine
        asked = {"input": server.url("endless"), "duration": 5, "preset": "veryfast"}
        batch = running(
            farm, submit(farm, "batch", {"scenario": "1080p30-h264", "parameters": asked})
        )
        farm.wait_for(submit(farm, "live", SHORT), JobStatus.COMPLETED)
        done = farm.wait_for(batch, JobStatus.COMPLETED, seconds=120)

    attempts = farm.client.attempts(batch.id).attempts
    assert [one.outcome for one in attempts] == [Outcome.PREEMPTED, Outcome.COMPLETED], attempts
    assert done.retry_count == 0


def test_paused_job_stands_still_beyond_the_stall_limit_and_gives_its_slot_away(
    farm: ChaosFarm,
) -> None:
    agent = farm.start_agent("only").ready()
    job = running(farm, submit(farm, "default", LONG))
    farm.client.pause(job.id)
    wait_until(lambda: stopped(agent), what="a stopped ffmpeg")
    other = farm.wait_for(farm.submit(), JobStatus.COMPLETED)
    farm.let_time_pass(2 * STALL_SECONDS)
    paused = farm.client.job(job.id)
    still = [one.pid for one in stopped(agent)]
    farm.client.resume(job.id)
    done = farm.wait_for(job, JobStatus.COMPLETED, seconds=120)

    assert other.attempt == 1
    assert paused.status is JobStatus.PAUSED
    assert len(still) == 1
    assert (done.attempt, done.retry_count) == (1, 0)


def test_paused_job_that_is_canceled_leaves_no_process_and_no_file(farm: ChaosFarm) -> None:
    agent = farm.start_agent("only").ready()
    job = running(farm, submit(farm, "default", ENDLESS))
    farm.client.pause(job.id)
    wait_until(lambda: stopped(agent), what="a stopped ffmpeg")
    farm.client.cancel(job.id)

    wait_until(lambda: not agent.ffmpegs(), what="no ffmpeg")
    wait_until(lambda: not agent.parts(), what="no file")


def test_agent_that_is_stopped_gives_a_paused_job_back_at_once(farm: ChaosFarm) -> None:
    agent = farm.start_agent("only", drain_timeout=60).ready()
    job = running(farm, submit(farm, "default", ENDLESS))
    farm.client.pause(job.id)
    wait_until(lambda: stopped(agent), what="a stopped ffmpeg")
    agent.end()

    found = farm.client.job(job.id)
    assert (found.status, found.retry_count) == (JobStatus.PENDING, 0)


def test_agent_that_dies_takes_its_suspended_ffmpeg_with_it(farm: ChaosFarm) -> None:
    agent = farm.start_agent("only").ready()
    job = running(farm, submit(farm, "default", ENDLESS))
    farm.client.pause(job.id)
    (ffmpeg,) = wait_until(lambda: stopped(agent), what="a stopped ffmpeg")
    agent.kill()
    wait_until(lambda: not ffmpeg.is_running(), what="no ffmpeg")
    farm.start_agent("only").ready()

    assert farm.wait_for(job, JobStatus.RUNNING).attempt == 2


def test_reserved_slot_is_free_for_a_live_job_while_batch_waits(make_farm: MakeFarm) -> None:
    farm = make_farm()
    farm.start_agent("only", slots=2, reserve_live=1).ready()
    first = submit(farm, "batch", ENDLESS)
    farm.wait_for(first, JobStatus.RUNNING)
    second = submit(farm, "batch", ENDLESS)
    live = farm.wait_for(
        submit(farm, "live", SHORT),
        JobStatus.COMPLETED,
    )

    assert live.attempt == 1
    assert farm.client.job(second.id).status is JobStatus.PENDING
    for job in (first, second):
        farm.client.cancel(job.id)


def test_paused_queue_starts_nothing_until_it_is_resumed(farm: ChaosFarm) -> None:
    farm.start_agent("only").ready()
    farm.client.pause_queue("batch", reason="new disks")
    held = submit(farm, "batch", SHORT)
    farm.wait_for(submit(farm, "default", SHORT), JobStatus.COMPLETED)
    reason = farm.client.job(held.id).waiting_reason or ""
    still = farm.client.job(held.id).status
    farm.client.resume_queue("batch")

    assert "the batch queue is paused" in reason
    assert "new disks" in reason
    assert still is JobStatus.PENDING
    farm.wait_for(held, JobStatus.COMPLETED)


def test_the_lowest_job_starts_though_live_jobs_never_end_where_waiting_raises_it(
    make_farm: MakeFarm,
) -> None:
    farm = make_farm(max_wait=MAX_WAIT)
    farm.start_agent("only").ready()
    with endless_live_load(farm):
        lowest = submit(farm, "batch", SHORT, priority="low")
        done = farm.wait_for(lowest, JobStatus.COMPLETED, seconds=10 * MAX_WAIT)
        waiting = farm.client.jobs(status="pending", queue="live").count

    assert done.attempt == 1
    assert waiting, "the live load was not endless"


@contextmanager
def endless_live_load(farm: ChaosFarm) -> Iterator[None]:
    """There are always some live jobs that wait."""
    over = threading.Event()
    body = {**SHORT, "queue": "live", "priority": "high"}

    def feed() -> None:
        while not over.is_set():
            if farm.client.jobs(status="pending", queue="live", limit=20).count < 10:
                farm.client.submit_batch([body] * 20)
            over.wait(0.2)

    feeder = threading.Thread(target=feed, name="live load")
    feeder.start()
    try:
        yield
    finally:
        over.set()
        feeder.join()
