"""The whole farm on this machine: the master's parts, and an agent per node."""

import logging
import secrets
import signal
import socket
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from cli.exits import CliError
from cli.folder import FarmFolder
from cli.ports import LOOPBACK, free_ports, require_free
from ffrtmp.client import ClientError, Connection, MasterClient
from ffrtmp.config import MasterSettings, WorkerSettings, child_environment, python_module
from ffrtmp.domain.node import NodeStatus
from ffrtmp.parts import AGENT_STAGE, broker_url, local_host, master_parts
from ffrtmp.supervisor import Part, StartFailed, Supervisor, stop_on_signals

FLOWER_USER = "ffrtmp"
FLOWER_PASSWORD_BYTES = 12
READY_SECONDS = 30.0
POLL_SECONDS = 0.1
AGENT_READY_SECONDS = 60.0
AGENT_STOP_MARGIN_SECONDS = 10.0

log = logging.getLogger("ffrtmp.farm")


@dataclass(frozen=True, slots=True, kw_only=True)
class FarmPlan:
    """What the farm will be: settled settings without a port left to chance."""

    folder: FarmFolder
    master: MasterSettings
    agents: Sequence[WorkerSettings]

    @property
    def api_url(self) -> str:
        """Where this machine reaches the API."""
        scheme = "https" if self.master.tls.enabled else "http"
        host = local_host(self.master)
        return f"{scheme}://{f'[{host}]' if ':' in host else host}:{self.master.port}"

    def connection(self) -> Connection:
        """How this machine speaks to the API."""
        return replace(Connection.of(self.agents[0], key=self.master.api_key), url=self.api_url)

    def metrics_urls(self) -> dict[str, str]:
        """Where each part says what it counts, by part."""
        named = {"master": self.master.metrics_port}
        named |= {f"agent-{n}": agent.metrics_port for n, agent in enumerate(self.agents, 1)}
        return {name: f"http://{LOOPBACK}:{port}/metrics" for name, port in named.items() if port}

    def facts(self, pids: dict[str, int]) -> dict[str, Any]:
        """The content of ``farm.json``."""
        return {
            "api_url": self.api_url,
            "broker_url": broker_url(self.master),
            "flower_url": f"http://{LOOPBACK}:{self.master.flower_port}",
            "flower_user": FLOWER_USER,
            "flower_password": self.master.flower_password,
            "metrics_urls": self.metrics_urls(),
            "api_key": self.master.api_key,
            "ca": self.connection().ca,
            "data_dir": str(self.folder.path),
            "processes": pids,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFarm:
    """A farm that is ready, until the block that holds it ends."""

    plan: FarmPlan
    supervisor: Supervisor
    stop: threading.Event
    """Set by the first SIGINT or SIGTERM."""

    def tend(self) -> None:
        """Restart what dies until the stop is asked for."""
        try:
            self.supervisor.run(self.stop)
        except StartFailed as error:
            raise _part_failed(self.plan, error) from error


def settle(
    folder: FarmFolder, master: MasterSettings, agent: WorkerSettings, *, workers: int
) -> FarmPlan:
    """Fill in what the settings leave open: key, password, ports, an address per node."""
    if master.port:
        require_free(master.host, master.port, flag="--port")
    api, metrics, flower, health, *agent_metrics = free_ports(4 + workers)
    settled = master.model_copy(
        update={
            "port": master.port or api,
            "data_dir": folder.path,
            "metrics_port": metrics,
            "flower_port": master.flower_port or flower,
            "health_port": master.health_port or (health if master.tls.mtls else None),
            "flower_password": master.flower_password
            or secrets.token_urlsafe(FLOWER_PASSWORD_BYTES),
            "api_key": master.api_key or folder.api_key(),
        }
    )
    plan = FarmPlan(folder=folder, master=settled, agents=[agent])
    agents = [
        agent.model_copy(
            update={
                "master_url": plan.api_url,
                "api_key": settled.api_key,
                "address": f"{agent.address or socket.gethostname()}-{number}",
                "state_dir": folder.agent(number),
                "work_dir": agent.work_dir or folder.outputs,
                # whoever runs a farm of this one machine may use whatever the farm may
                "media_roots": agent.media_roots or [Path("/")],
                "output_roots": agent.output_roots or [Path("/")],
                "metrics_port": port,
                "tracing": settled.tracing,
            }
        )
        for number, port in enumerate(agent_metrics, 1)
    ]
    return FarmPlan(folder=folder, master=settled, agents=agents)


@contextmanager
def running(plan: FarmPlan) -> Iterator[RunningFarm | None]:
    """The farm, ready: the API answers and every node is registered. None where a stop was asked
    for before that. Nothing of it runs after the block.

    Belongs on the main thread: it takes SIGINT and SIGTERM, and children die with the thread.
    """
    plan.folder.withdraw()
    with MasterClient(plan.connection()) as master:
        supervisor = _supervisor(plan, master)
        stop = stop_on_signals(supervisor)
        try:
            with supervisor:
                _start(plan, supervisor, stop)
                if stop.is_set():
                    yield None
                    return
                plan.folder.announce(plan.facts(supervisor.pids()))
                yield RunningFarm(plan=plan, supervisor=supervisor, stop=stop)
        finally:
            plan.folder.withdraw()


def _supervisor(plan: FarmPlan, master: MasterClient) -> Supervisor:
    parts = [*master_parts(plan.master), *agent_parts(plan, master, since=datetime.now(UTC))]
    return Supervisor(
        parts,
        log,
        log_directory=plan.folder.logs,
        on_restart=lambda pids: plan.folder.announce(plan.facts(pids)),
    )


def _start(plan: FarmPlan, supervisor: Supervisor, stop: threading.Event) -> None:
    try:
        supervisor.start(stop)
    except StartFailed as error:
        raise _part_failed(plan, error) from error
    give_up_at = time.monotonic() + READY_SECONDS
    while not stop.is_set() and not is_ready(plan.connection()):
        if time.monotonic() > give_up_at:
            raise CliError(f"the farm is not ready; the logs are in {plan.folder.logs}")
        time.sleep(POLL_SECONDS)


def _part_failed(plan: FarmPlan, error: StartFailed) -> CliError:
    return CliError(f"{error}\nthe logs are in {plan.folder.logs}")


def agent_parts(plan: FarmPlan, master: MasterClient, *, since: datetime) -> list[Part]:
    """An agent per node. They start side by side: the last one counts as ready once the master
    has heard every one of them after ``since``."""
    parts = [_agent_part(number, settings) for number, settings in enumerate(plan.agents, 1)]
    addresses = {agent.address for agent in plan.agents}
    parts[-1] = replace(parts[-1], ready=lambda: addresses <= _heard(master, since))
    return parts


def _agent_part(number: int, settings: WorkerSettings) -> Part:
    return Part(
        name=f"agent-{number}",
        argv=python_module("workers"),
        environment=child_environment(settings),
        stop_seconds=settings.drain_timeout + AGENT_STOP_MARGIN_SECONDS,
        ready_seconds=AGENT_READY_SECONDS,
        stage=AGENT_STAGE,
        death_signal=signal.SIGTERM,
    )


def _heard(master: MasterClient, since: datetime) -> set[str | None]:
    """Addresses of the nodes that have spoken after ``since``."""
    try:
        nodes = master.nodes().nodes
    except ClientError:
        return set()
    return {
        node.address
        for node in nodes
        if node.status is not NodeStatus.OFFLINE and node.last_heartbeat >= since
    }


def is_ready(to: Connection) -> bool:
    """Whether GET /ready says that database and broker answer."""
    try:
        answer = httpx.get(f"{to.url}/ready", verify=to.trust(), trust_env=False)
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK
