"""A whole master and agents as processes of a test."""

import contextlib
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import psutil
from prometheus_client.parser import text_string_to_metric_families

from ffrtmp.client import ClientError, Connection, MasterClient
from ffrtmp.config import MasterSettings, WorkerSettings, child_environment
from ffrtmp.domain.job import JobStatus
from ffrtmp.master import settle_ports
from ffrtmp.schemas import JobAnswer
from tests.integration import trials
from tests.waiting import wait_until

KEY = "integration-key"
START_SECONDS = 90.0
SHORT = {"scenario": "360p30-h264", "parameters": {"duration": 1}}
LONG = {"scenario": "1080p30-h264", "parameters": {"duration": 3600}}
MIDDLE = {"scenario": "720p30-h264", "parameters": {"duration": 20, "preset": "ultrafast"}}


class Process:
    """A process of this test, its output in a file."""

    def __init__(
        self,
        command: Sequence[str],
        environment: dict[str, str],
        output: Path,
        *,
        python: bool = True,
    ) -> None:
        """``command`` is for the Python of this test, or whole where ``python`` is False."""
        self.output = output
        with output.open("ab") as file:
            self.popen = subprocess.Popen(
                [*([sys.executable] if python else []), *command],
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

    def kill(self) -> None:
        """At once, and reaped; what it started is not touched."""
        self.popen.kill()
        self.popen.wait()


class Master(Process):
    """A whole master on a free port that it keeps over a restart."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        known: dict[str, Any] = {
            "port": 0,
            "data_dir": folder / "master",
            "api_key": KEY,
            "node_timeout": 10,
            "scheduler_interval": 0.5,
            "retry_base": 0.1,
            "metrics_port": None,
        }
        self.settings = settle_ports(MasterSettings.model_validate(known | settings))
        self.folder = folder
        self.url = f"http://127.0.0.1:{self.settings.port}"
        self.client = MasterClient(Connection(url=self.url, key=KEY))
        self.start()

    def start(self) -> None:
        output = self.folder / f"master-{time.monotonic_ns()}.log"
        super().__init__(["-m", "ffrtmp.master"], child_environment(self.settings), output)
        try:
            wait_until(lambda: self.says("master ready"), seconds=START_SECONDS)
        except BaseException:
            kill_tree(self)
            raise

    def close(self) -> None:
        self.client.close()
        if self.popen.poll() is None:
            self.end()


class AgentProcess(Process):
    """An agent with a state folder of its own."""

    def __init__(
        self,
        master_url: str,
        folder: Path,
        command: Sequence[str] = ("-m", "workers"),
        **settings: Any,
    ) -> None:
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
            "media_roots": ["/"],
            "output_roots": ["/"],
            "allow_networks": ["127.0.0.1/32"],
            "metrics_port": None,
        }
        if settings.get("ffmpeg") not in (None, trials.FFMPEG):
            known["sandbox"] = "off"  # what stands in for ffmpeg writes to folders of its test
        self.state = folder
        self.settings = WorkerSettings.model_validate(known | settings)
        if self.settings.ffmpeg is None:
            trials.bring_to(folder)
        output = folder.with_suffix(f".{time.monotonic_ns()}.log")
        super().__init__(command, child_environment(self.settings), output)

    def ready(self) -> "AgentProcess":
        wait_until(lambda: self.says("registered "), seconds=START_SECONDS)
        return self

    def ffmpegs(self) -> list[psutil.Process]:
        found = []
        for child in self.descendants():
            with contextlib.suppress(psutil.NoSuchProcess):
                found += [child] if "ffmpeg" in child.name() else []
        return found

    def celery_child(self) -> psutil.Process | None:
        for child in self.descendants():
            with contextlib.suppress(psutil.Error):
                if "workers.celery_child" in child.cmdline():
                    return child
        return None

    def metric(self, name: str, **labels: str) -> float:
        """A sample of its /metrics; 0 where there is none yet. Give it a ``metrics_port``."""
        url = f"http://127.0.0.1:{self.settings.metrics_port}/metrics"
        with urllib.request.urlopen(url, timeout=5) as answer:
            text = answer.read().decode()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                if sample.name == name and sample.labels == labels:
                    return float(sample.value)
        return 0.0

    def parts(self) -> list[Path]:
        return list((self.state / "output").glob(".*.part"))

    def journals(self) -> list[Path]:
        return list((self.state / "attempts").glob("*/journal.json"))


StartAgent = Callable[..., AgentProcess]


def kill_tree(process: Process) -> None:
    if process.popen.poll() is None:
        for child in process.descendants():
            with contextlib.suppress(psutil.Error):
                child.kill()
        process.popen.kill()
        process.popen.wait()


def job_with(
    master: Master, job: JobAnswer, *statuses: JobStatus, seconds: float = 40.0
) -> JobAnswer:
    def reached() -> JobAnswer | None:
        with contextlib.suppress(ClientError):
            found = master.client.job(job.id)
            return found if found.status in statuses else None
        return None

    return wait_until(reached, seconds=seconds)


def cancel_all(client: MasterClient) -> None:
    """What a test leaves would keep the next test's agent busy."""
    for status in (JobStatus.PENDING, JobStatus.RUNNING, JobStatus.PAUSED):
        for job in client.jobs(status=status, limit=1000).jobs:
            with contextlib.suppress(ClientError):
                client.cancel(job.id)
