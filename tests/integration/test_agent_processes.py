"""The agent as a process, against a real master, broker and ffmpeg."""

import contextlib
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import psutil
import pytest

from ffrtmp.client import ClientError, Connection, MasterClient
from ffrtmp.config import MasterSettings, WorkerSettings, child_environment
from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.node import NodeStatus
from ffrtmp.domain.retry import FailureClass
from ffrtmp.master import settle_ports
from ffrtmp.schemas import JobAnswer

T = TypeVar("T")
KEY = "integration-key"
SHORT = {"scenario": "360p30-h264", "parameters": {"duration": 1}}
LONG = {"scenario": "1080p30-h264", "parameters": {"duration": 3600}}
MIDDLE = {"scenario": "720p30-h264", "parameters": {"duration": 20, "preset": "ultrafast"}}


def wait_until(fact: Callable[[], T | None], *, seconds: float = 30.0) -> T:
    give_up_at = time.monotonic() + seconds
    while True:
        answer = fact()
        if answer:
            return answer
        if time.monotonic() > give_up_at:
            raise AssertionError(f"not within {seconds:.0f} s; last seen: {answer!r}")
        time.sleep(0.02)


class Process:
    """A process of this test, its output in a file."""

    def __init__(self, module: str, environment: dict[str, str], output: Path) -> None:
        self.output = output
        with output.open("ab") as file:
            self.popen = subprocess.Popen(
                [sys.executable, "-m", module],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=file,
                start_new_session=True,
            )

    def says(self, text: str) -> bool:
        if self.popen.poll() is not None:
            raise AssertionError(f"it ended with {self.popen.returncode}:\n{self.text()}")
        return text in self.text()

    def text(self) -> str:
        return self.output.read_text()

    def descendants(self) -> list[psutil.Process]:
        return psutil.Process(self.popen.pid).children(recursive=True)

    def end(self, number: signal.Signals = signal.SIGTERM, *, seconds: float = 20.0) -> int:
        self.popen.send_signal(number)
        return self.popen.wait(seconds)


class Master(Process):
    """A whole master on a free port that it keeps over a restart."""

    def __init__(self, folder: Path) -> None:
        self.settings = settle_ports(
            MasterSettings(
                port=0,
                data_dir=folder / "master",
                api_key=KEY,
                node_timeout=10,
                scheduler_interval=0.5,
                retry_base=0.1,
                metrics_port=None,
            )
        )
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.settings.port}"
        self.client = MasterClient(Connection(url=self.url, key=KEY))
        self.start()

    def start(self) -> None:
        output = self.folder / f"master-{time.monotonic_ns()}.log"
        super().__init__("ffrtmp.master", child_environment(self.settings), output)
        wait_until(lambda: self.says("master ready"))

    def close(self) -> None:
        self.client.close()
        if self.popen.poll() is None:
            self.end()


class AgentProcess(Process):
    """An agent with a state folder of its own."""

    def __init__(self, master_url: str, folder: Path, **settings: Any) -> None:
        known: dict[str, Any] = {
            "master_url": master_url,
            "api_key": KEY,
            "state_dir": folder,
            "address": folder.name,
            "slots": 1,
            "heartbeat_interval": 1,
            "busy_heartbeat_interval": 0.5,
            "poll_interval": 0.5,
            "drain_timeout": 0.2,
            "metrics_port": None,
        }
        self.state = folder
        self.settings = WorkerSettings.model_validate(known | settings)
        output = folder.with_suffix(f".{time.monotonic_ns()}.log")
        super().__init__("workers", child_environment(self.settings), output)

    def ready(self) -> "AgentProcess":
        wait_until(lambda: self.says("registered "))
        return self

    def ffmpegs(self) -> list[psutil.Process]:
        return [child for child in self.descendants() if "ffmpeg" in child.name()]

    def celery_child(self) -> psutil.Process | None:
        for child in self.descendants():
            with contextlib.suppress(psutil.Error):
                if "workers.celery_child" in child.cmdline():
                    return child
        return None

    def parts(self) -> list[Path]:
        return list((self.state / "output").glob(".*.part"))

    def journals(self) -> list[Path]:
        return list((self.state / "attempts").glob("*/journal.json"))


def _kill_tree(process: Process) -> None:
    if process.popen.poll() is None:
        for child in process.descendants():
            with contextlib.suppress(psutil.Error):
                child.kill()
        process.popen.kill()
        process.popen.wait()


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    running = Master(tmp_path_factory.mktemp("farm"))
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def start_agent(tmp_path: Path) -> Iterator[Callable[..., AgentProcess]]:
    """``start_agent(master, name, **settings)``: ended, with all it started, after the test."""
    started: list[AgentProcess] = []

    def start(master: Master, name: str = "", **settings: Any) -> AgentProcess:
        folder = tmp_path / (name or f"node-{tmp_path.name}")
        started.append(AgentProcess(master.url, folder, **settings))
        return started[-1]

    yield start
    for agent in started:
        if agent.popen.poll() is None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                agent.end()
        _kill_tree(agent)


def job_with(
    master: Master, job: JobAnswer, *statuses: JobStatus, seconds: float = 40.0
) -> JobAnswer:
    def reached() -> JobAnswer | None:
        with contextlib.suppress(ClientError):
            found = master.client.job(job.id)
            return found if found.status in statuses else None
        return None

    return wait_until(reached, seconds=seconds)


def test_agent_runs_a_hinted_job_and_publishes_its_file(
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    agent = start_agent(master).ready()
    wait_until(lambda: "celery@" in agent.text() or agent.celery_child())

    job = job_with(master, master.client.submit(SHORT), JobStatus.COMPLETED)

    assert job.result is not None
    assert job.result["is_test_source"] is True
    assert Path(job.result["output"]).stat().st_size == job.result["size_bytes"]
    assert "libx264" in master.client.logs(job.id).logs
    assert agent.parts() == []
    assert agent.journals() == []


def test_canceled_attempt_leaves_neither_ffmpeg_nor_files(
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    agent = start_agent(master).ready()
    job = master.client.submit(LONG)
    wait_until(agent.ffmpegs)

    master.client.cancel(job.id)

    wait_until(lambda: not agent.ffmpegs(), seconds=1.0)
    wait_until(lambda: not agent.parts() and not agent.journals(), seconds=2.0)
    assert master.client.attempts(job.id).attempts[0].outcome is Outcome.CANCELED


def test_killed_celery_child_is_replaced_and_the_encode_goes_on(
    master: Master, start_agent: Callable[..., AgentProcess]
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
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    agent = start_agent(master).ready()
    job = master.client.submit(LONG)

    wait_until(agent.ffmpegs)[0].kill()

    waiting = job_with(master, job, JobStatus.PENDING, seconds=3.0)
    (killed,) = master.client.attempts(job.id).attempts
    assert (killed.outcome, killed.failure_class) == (Outcome.FAILED, FailureClass.KILLED)
    assert waiting.retry_count == 1
    assert agent.parts() == []
    master.client.cancel(job.id)


def test_killed_agent_takes_ffmpeg_along_and_its_successor_is_the_same_node(
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    agent = start_agent(master, "phoenix").ready()
    job = master.client.submit(MIDDLE)
    ffmpeg = wait_until(agent.ffmpegs)[0]
    wait_until(agent.parts)
    node = master.client.node("phoenix")
    family = agent.descendants()

    agent.end(signal.SIGKILL)

    _, alive = psutil.wait_procs([ffmpeg, *family], timeout=5)
    assert alive == []
    start_agent(master, "phoenix").ready()
    assert agent.parts() == []
    assert master.client.node("phoenix").id == node.id
    assert master.client.attempts(job.id).attempts[0].outcome is Outcome.NODE_LOST
    master.client.cancel(job.id)


def test_terminated_agent_gives_its_attempt_back_without_spending_a_retry(
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    agent = start_agent(master).ready()
    job = master.client.submit(LONG)
    wait_until(agent.ffmpegs)
    family = agent.descendants()

    status = agent.end()

    assert status == 0
    _, alive = psutil.wait_procs(family, timeout=1)
    assert alive == []
    assert master.client.attempts(job.id).attempts[0].outcome is Outcome.RELEASED
    given_back = master.client.job(job.id)
    assert (given_back.status, given_back.retry_count) == (JobStatus.PENDING, 0)
    assert agent.parts() == []
    assert not (agent.state / "agent.sock").exists()
    master.client.cancel(job.id)


def test_second_interrupt_skips_the_wait_for_running_attempts(
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    agent = start_agent(master, drain_timeout=60).ready()
    job = master.client.submit(LONG)
    wait_until(agent.ffmpegs)

    agent.popen.send_signal(signal.SIGINT)
    wait_until(lambda: "stopping" in agent.text())
    status = agent.end(signal.SIGINT, seconds=8.0)

    assert status == 0
    master.client.cancel(job.id)


def test_job_runs_without_a_broker_because_the_agent_asks_by_itself(
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    start_agent(master, broker="redis://127.0.0.1:1/0").ready()

    job = job_with(master, master.client.submit(SHORT), JobStatus.COMPLETED)

    assert job.attempt == 1


def test_drained_node_takes_nothing_until_it_is_undrained(
    master: Master, start_agent: Callable[..., AgentProcess]
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
    master: Master, start_agent: Callable[..., AgentProcess], tmp_path: Path
) -> None:
    start_agent(master).ready()
    body = {"scenario": "360p-h264", "parameters": {"input": str(tmp_path / "none.mp4")}}

    job = job_with(master, master.client.submit(body), JobStatus.FAILED)

    assert job.failure_reason is FailureClass.INPUT_MISSING
    assert job.attempt == 1


def test_second_agent_on_one_state_folder_is_refused(
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    start_agent(master, "shared").ready()

    second = start_agent(master, "shared")

    assert second.popen.wait(20) == 1
    assert "is in use by another agent" in second.text()


def test_taken_address_is_refused_in_the_masters_words(
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    start_agent(master, "first", address="10.0.0.7").ready()

    second = start_agent(master, "second", address="10.0.0.7")

    assert second.popen.wait(20) == 1
    assert "Node with address 10.0.0.7 is already registered" in second.text()


def test_wrong_key_is_refused_with_its_own_exit_code(
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    agent = start_agent(master, api_key="wrong")

    assert agent.popen.wait(20) == 5
    assert "refuses this API key" in agent.text()


def test_result_of_an_encode_that_ends_while_the_master_is_away_is_delivered_by_the_next_process(
    tmp_path: Path, start_agent: Callable[..., AgentProcess]
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


def test_agent_hands_no_key_to_its_children(
    master: Master, start_agent: Callable[..., AgentProcess]
) -> None:
    agent = start_agent(master).ready()
    job = master.client.submit(LONG)
    wait_until(lambda: agent.ffmpegs() and agent.celery_child())

    environments = [
        Path(f"/proc/{child.pid}/environ").read_bytes() for child in agent.descendants()
    ]
    master.client.cancel(job.id)

    assert all(KEY.encode() not in environment for environment in environments)
