"""The agent as a process, against a real master, broker and ffmpeg."""

import time
from pathlib import Path

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.retry import FailureClass
from tests.integration.agents import KEY, LONG, MIDDLE, SHORT, Master, StartAgent, job_with
from tests.waiting import wait_until


def test_agent_runs_a_hinted_job_and_publishes_its_file(
    master: Master, start_agent: StartAgent
) -> None:
    agent = start_agent(master).ready()
    wait_until(lambda: "celery@" in agent.text() or agent.celery_child())

    job = job_with(master, master.client.submit(SHORT), JobStatus.COMPLETED)

    assert job.result is not None
    assert job.result["is_test_source"] is True
    assert Path(job.result["output"]).stat().st_size == job.result["size_bytes"]
    assert "libx264" in master.client.logs(job.id).logs
    assert agent.parts() == []
    wait_until(lambda: not agent.journals())


def test_canceled_attempt_leaves_neither_ffmpeg_nor_files(
    master: Master, start_agent: StartAgent
) -> None:
    agent = start_agent(master).ready()
    job = master.client.submit(LONG)
    wait_until(agent.ffmpegs)

    master.client.cancel(job.id)

    wait_until(lambda: not agent.ffmpegs(), seconds=1.0)
    wait_until(lambda: not agent.parts() and not agent.journals(), seconds=2.0)
    assert master.client.attempts(job.id).attempts[0].outcome is Outcome.CANCELED


def test_killed_celery_child_is_replaced_and_the_encode_goes_on(
    master: Master, start_agent: StartAgent
) -> None:
    agent = start_agent(master).ready()
    job = master.client.submit(MIDDLE)
    ffmpeg = wait_until(agent.ffmpegs)[0]
    child = wait_until(agent.celery_child)

    child.kill()
    child.wait(5)

    replaced = wait_until(agent.celery_child, seconds=5.0)
    assert replaced.pid != child.pid
    assert ffmpeg.is_running()
    done = job_with(master, job, JobStatus.COMPLETED)
    assert done.attempt == 1
    assert job_with(master, master.client.submit(SHORT), JobStatus.COMPLETED).attempt == 1


def test_killed_ffmpeg_ends_the_attempt_as_killed_and_the_job_is_to_be_tried_again(
    master: Master, start_agent: StartAgent
) -> None:
    agent = start_agent(master).ready()
    job = master.client.submit(LONG)

    wait_until(agent.ffmpegs)[0].kill()

    waiting = job_with(master, job, JobStatus.PENDING, seconds=3.0)
    (killed,) = master.client.attempts(job.id).attempts
    assert (killed.outcome, killed.failure_class) == (Outcome.FAILED, FailureClass.KILLED)
    assert waiting.retry_count == 1
    assert agent.parts() == []


def test_job_runs_without_a_broker_because_the_agent_asks_by_itself(
    master: Master, start_agent: StartAgent
) -> None:
    start_agent(master, broker="redis://127.0.0.1:1/0").ready()

    job = job_with(master, master.client.submit(SHORT), JobStatus.COMPLETED)

    assert job.attempt == 1


def test_drained_node_takes_nothing_until_it_is_undrained(
    master: Master, start_agent: StartAgent
) -> None:
    agent = start_agent(master, "drained").ready()
    wait_until(agent.celery_child)

    master.client.drain("drained")
    wait_until(lambda: agent.celery_child() is None)
    job = master.client.submit(SHORT)
    time.sleep(1.2)  # two polls and two reconcile passes in which it could be taken

    assert master.client.job(job.id).status is JobStatus.PENDING
    master.client.undrain("drained")
    job_with(master, job, JobStatus.COMPLETED)


def test_missing_input_fails_the_job_for_good(
    master: Master, start_agent: StartAgent, tmp_path: Path
) -> None:
    start_agent(master).ready()
    body = {"scenario": "360p-h264", "parameters": {"input": str(tmp_path / "none.mp4")}}

    job = job_with(master, master.client.submit(body), JobStatus.FAILED)

    assert job.failure_reason is FailureClass.INPUT_MISSING
    assert job.attempt == 1


def test_second_agent_on_one_state_folder_is_refused(
    master: Master, start_agent: StartAgent
) -> None:
    start_agent(master, "shared").ready()

    second = start_agent(master, "shared")

    assert second.popen.wait(20) == 1
    assert "is in use by another agent" in second.text()


def test_taken_address_is_refused_in_the_masters_words(
    master: Master, start_agent: StartAgent
) -> None:
    start_agent(master, "first", address="10.0.0.7").ready()

    second = start_agent(master, "second", address="10.0.0.7")

    assert second.popen.wait(20) == 1
    assert "Node with address 10.0.0.7 is already registered" in second.text()


def test_wrong_key_is_refused_with_its_own_exit_code(
    master: Master, start_agent: StartAgent
) -> None:
    agent = start_agent(master, api_key="wrong")

    assert agent.popen.wait(20) == 5
    assert "refuses this API key" in agent.text()


def test_agent_hands_no_key_to_its_children(master: Master, start_agent: StartAgent) -> None:
    agent = start_agent(master).ready()
    job = master.client.submit(LONG)
    wait_until(lambda: agent.ffmpegs() and agent.celery_child())

    environments = [
        Path(f"/proc/{child.pid}/environ").read_bytes() for child in agent.descendants()
    ]
    master.client.cancel(job.id)

    assert all(KEY.encode() not in environment for environment in environments)
