"""A farm whose every part is a process of its own, so that a test can hurt each alone."""

import base64
import contextlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import psutil
import redis

from ffrtmp.broker import embedded
from ffrtmp.client import ClientError, Connection, MasterClient
from ffrtmp.config import MasterSettings, child_environment
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import JobAnswer
from ffrtmp.store.engine import Store
from tests.chaos.proxy import Proxy
from tests.integration.agents import KEY, AgentProcess, Process, cancel_all, kill_tree
from tests.waiting import free_port, wait_until

NODE_TIMEOUT = 6.0
PASS_SECONDS = 0.5


class Broker:
    """A real valkey that keeps its port, and by default its data, over a restart."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._prepared = embedded.prepare(folder)
        self.url, self.port = self._prepared.url, self._prepared.port
        self._process: Process | None = None

    def start(self) -> None:
        self._process = Process(self._prepared.argv, {}, self._folder / "valkey.log", python=False)
        embedded.wait_until_ready(self.url, timeout_seconds=10)

    def kill(self) -> None:
        """What it had not written is lost."""
        if self._process is not None:
            self._process.kill()
            self._process = None

    @property
    def pid(self) -> int:
        """Of its process, while it runs."""
        assert self._process is not None
        return self._process.popen.pid

    def client(self) -> redis.Redis:
        """Another connection to it, as its administrator."""
        return redis.Redis.from_url(self.url)

    def server(self) -> psutil.Process:
        """The server's process."""
        assert self._process is not None
        return psutil.Process(self._process.popen.pid)

    def listeners(self, proxy: Proxy) -> int:
        """Celery workers that wait for a message behind ``proxy``."""
        ports = proxy.ports_beyond()
        with self.client() as client:
            waiting = [it["addr"] for it in client.client_list() if "b" in it["flags"]]
        return sum(int(address.rpartition(":")[2]) in ports for address in waiting)

    def hinted(self) -> list[str]:
        """The job ids of the hints that lie in it, node queues included."""
        found = []
        with self.client() as client:
            for key in client.scan_iter("*", _type="list"):
                for item in client.lrange(key, 0, -1):
                    _, kwargs, _ = json.loads(base64.b64decode(json.loads(item)["body"]))
                    found += [kwargs["job_id"]] if "job_id" in kwargs else []
        return found


class Part:
    """One part of the master, started and killed by the test."""

    def __init__(
        self, settings: MasterSettings, only: str, folder: Path, prefix: Sequence[str] = ()
    ) -> None:
        """``prefix`` is a command that runs the part."""
        self._command = [*prefix, sys.executable, "-m", "ffrtmp.master"]
        self._environment = child_environment(settings.model_copy(update={"only": only}))
        self._only, self._folder = only, folder
        self.process: Process | None = None

    def start(self) -> None:
        self.kill()
        log = self._folder / f"{self._only}-{time.monotonic_ns()}.log"
        self.process = Process(self._command, self._environment, log, python=False)

    def kill(self) -> None:
        if self.process is not None:
            self.process.kill()
            self.process = None


class ChaosFarm:
    """Broker, API, control and beat as processes; agents reach API and broker through proxies.

    Attributes: ``broker``; ``api``, ``control``, ``beat`` (parts); ``to_api``, ``to_broker``
    (the proxies every agent goes through); ``client`` (straight to the API, past the proxy);
    ``settings``; ``agents``.
    """

    def __init__(self, folder: Path, *, prefix: Sequence[str] = (), **settings: Any) -> None:
        self.folder = folder
        self.broker = Broker(folder / "broker")
        known: dict[str, Any] = {
            "port": free_port(),
            "data_dir": folder / "master",
            "db": str(folder / "farm.db"),
            "broker": self.broker.url,
            "api_key": KEY,
            "node_timeout": NODE_TIMEOUT,
            "scheduler_interval": PASS_SECONDS,
            "retry_base": 0.1,
            "metrics_port": None,
        }
        self.settings = MasterSettings.model_validate(known | settings)
        self.url = f"http://127.0.0.1:{self.settings.port}"
        self.client = MasterClient(Connection(url=self.url, key=KEY))
        self.api, self.control, self.beat = (
            Part(self.settings, only, folder, prefix) for only in ("api", "control", "beat")
        )
        self.to_api, self.to_broker = Proxy(self.settings.port), Proxy(self.broker.port)
        self.agents: list[AgentProcess] = []

    def start(self) -> "ChaosFarm":
        """Start every part but agents."""
        self.broker.start()
        for part in (self.api, self.control, self.beat):
            part.start()
        self.wait_until_ready()
        return self

    def wait_until_ready(self) -> None:
        """Return when the API answers."""
        wait_until(self._answers, seconds=90.0, what="the API to answer")

    def start_agent(
        self, name: str, *, to_api: Proxy | None = None, to_broker: Proxy | None = None, **more: Any
    ) -> AgentProcess:
        """An agent at ``name``, a host of its own; call it again to restart a dead one.

        ``to_api`` and ``to_broker`` give it a network of its own in place of the common one.
        """
        api = f"http://127.0.0.1:{(to_api or self.to_api).port}"
        broker = self.broker.url.replace(
            f":{self.broker.port}/", f":{(to_broker or self.to_broker).port}/"
        )
        agent = AgentProcess(api, self.folder / name, **({"broker": broker} | more))
        self.agents.append(agent)
        return agent

    def wait_for_listeners(self, count: int) -> None:
        """Return when the Celery children of ``count`` agents wait for hints."""
        wait_until(
            lambda: self.broker.listeners(self.to_broker) == count,
            seconds=60,
            what="the children to listen",
        )

    @contextlib.contextmanager
    def without_master(self, *, seconds: float = 0.0) -> Iterator[None]:
        """API, control and beat are killed, and started again after ``seconds`` at the least."""
        until = time.monotonic() + seconds
        for part in (self.beat, self.control, self.api):
            part.kill()
        try:
            yield
            time.sleep(max(0.0, until - time.monotonic()))
        finally:
            for part in (self.api, self.control, self.beat):
                part.start()
            self.wait_until_ready()

    def clear(self) -> None:
        """Heal the network, kill the agents, cancel what is left, and forget its messages."""
        for proxy in (self.to_api, self.to_broker):
            proxy.heal()
        for agent in self.agents:
            kill_tree(agent)
        self.agents.clear()
        cancel_all(self.client)
        with self.broker.client() as broker:
            broker.flushall()

    def close(self) -> None:
        """Kill everything that still runs."""
        for agent in self.agents:
            kill_tree(agent)
        for part in (self.beat, self.control, self.api):
            part.kill()
        for proxy in (self.to_api, self.to_broker):
            proxy.close()
        self.broker.kill()
        self.client.close()

    def submit(self, scenario: str = "360p30-h264", **parameters: Any) -> JobAnswer:
        """A job on a test source, a tenth of a second long unless told otherwise."""
        return self.client.submit(
            {"scenario": scenario, "parameters": {"duration": 0.1} | parameters}
        )

    def let_time_pass(self, seconds: float) -> None:
        """Return when the farm could have noticed a silence of that length."""
        with self.store() as store:

            def now() -> float:
                with store.read() as tx:
                    return float(tx.clock.read().seconds)

            until = now() + seconds
            wait_until(lambda: now() > until, seconds=10 * seconds, what="farm time to pass")

    def wait_for(self, job: JobAnswer, *statuses: JobStatus, seconds: float = 30.0) -> JobAnswer:
        """The job, once it has one of these statuses."""

        def reached() -> JobAnswer | None:
            with contextlib.suppress(ClientError):
                found = self.client.job(job.id)
                return found if found.status in statuses else None
            return None

        return wait_until(reached, seconds=seconds, what=f"job {job.sequence_number}: {statuses}")

    @contextlib.contextmanager
    def store(self) -> Any:
        """The farm's database, opened beside it."""
        store = Store(self.settings.database_url)
        try:
            yield store
        finally:
            store.close()

    def _answers(self) -> bool:
        with contextlib.suppress(ClientError):
            self.client.jobs(limit=1)
            return True
        return False
