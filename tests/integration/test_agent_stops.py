"""How an agent process ends, and what the next one finds."""

import signal
from pathlib import Path

import psutil

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.node import NodeStatus
from tests.integration.agents import (
    LONG,
    MIDDLE,
    Master,
    StartAgent,
    job_with,
)
from tests.waiting import wait_until
from workers.limits.hierarchy import own_groups

HANGS = """
import sys, threading, workers.__main__, workers.agent, workers.slots
def wait_for_ever(self, **_):
    threading.Event().wait()
workers.slots.Slots.wait_until_idle = wait_for_ever
workers.agent.STOP_SECONDS = workers.agent.CHILD_STOP_SECONDS = 0.1
workers.agent.HUNG_SECONDS = 1
sys.exit(workers.__main__.main())
"""


def groups_of(pid: int) -> list[Path]:
    """The cgroups that an agent made for the attempt of this process, if it makes any here."""
    own = own_groups(
        Path(f"/proc/{pid}/cgroup").read_text(), Path("/proc/self/mountinfo").read_text()
    )
    return [group.folder for group in own if group.folder.name.startswith("ffrtmp-")]


def test_killed_agent_takes_ffmpeg_along_and_its_successor_is_the_same_node(
    master: Master, start_agent: StartAgent
) -> None:
    agent = start_agent(master, "phoenix").ready()
    limits = {"max_memory_mb": 2048, "max_cpu_percent": 1000}
    parameters = {"duration": 20, "preset": "ultrafast", "resource_limits": limits}
    job = master.client.submit({"scenario": "720p30-h264", "parameters": parameters})
    ffmpeg = wait_until(agent.ffmpegs)[0]
    wait_until(agent.parts)
    groups = groups_of(ffmpeg.pid)
    node = master.client.node("phoenix")
    family = agent.descendants()

    agent.end(signal.SIGKILL)

    _, alive = psutil.wait_procs([ffmpeg, *family], timeout=5)
    assert alive == []
    start_agent(master, "phoenix").ready()
    assert agent.parts() == []
    assert [group for group in groups if group.exists()] == []
    assert master.client.node("phoenix").id == node.id
    assert master.client.attempts(job.id).attempts[0].outcome is Outcome.NODE_LOST


def test_terminated_agent_gives_its_attempt_back_without_spending_a_retry(
    master: Master, start_agent: StartAgent
) -> None:
    agent = start_agent(master).ready()
    job = master.client.submit(LONG)
    wait_until(agent.ffmpegs)
    family = agent.descendants()

    status = agent.end()

    assert status == 0, agent.text()
    _, alive = psutil.wait_procs(family, timeout=10)  # whose parent ended is taken leave of later
    assert alive == []
    assert master.client.attempts(job.id).attempts[0].outcome is Outcome.RELEASED
    given_back = master.client.job(job.id)
    assert (given_back.status, given_back.retry_count) == (JobStatus.PENDING, 0)
    assert agent.parts() == []
    assert not (agent.state / "agent.sock").exists()


def test_second_interrupt_skips_the_wait_for_running_attempts(
    master: Master, start_agent: StartAgent
) -> None:
    agent = start_agent(master, drain_timeout=60).ready()
    master.client.submit(LONG)
    wait_until(agent.ffmpegs)

    agent.popen.send_signal(signal.SIGINT)
    wait_until(lambda: "stopping" in agent.text())
    status = agent.end(signal.SIGINT, seconds=8.0)

    assert status == 0


def test_stop_that_hangs_ends_by_itself_and_says_where(
    master: Master, start_agent: StartAgent
) -> None:
    agent = start_agent(master, command=["-c", HANGS]).ready()

    status = agent.end()

    assert status == 1
    assert "wait_for_ever" in agent.text()


def test_result_of_an_encode_that_ends_while_the_master_is_away_is_delivered_by_the_next_process(
    tmp_path: Path, start_agent: StartAgent
) -> None:
    master = Master(tmp_path)
    try:
        agent = start_agent(master, "spooler").ready()
        job = master.client.submit(MIDDLE)
        wait_until(agent.ffmpegs)
        master.end()
        wait_until(lambda: any('"encoded"' in path.read_text() for path in agent.journals()))
        agent.end(signal.SIGKILL)
        master.start()

        start_agent(master, "spooler").ready()

        done = job_with(master, job, JobStatus.COMPLETED)
        assert done.attempt == 1
        assert done.result is not None
        assert Path(done.result["output"]).exists()
        wait_until(lambda: not agent.journals())
        assert master.client.node("spooler").status is not NodeStatus.OFFLINE
    finally:
        master.close()
