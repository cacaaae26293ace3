"""A master for a module's tests, and agents that end with theirs."""

import contextlib
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.integration.agents import AgentProcess, Master, StartAgent, cancel_all, kill_tree


@pytest.fixture(scope="module")
def master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    running = Master(tmp_path_factory.mktemp("farm"))
    try:
        yield running
    finally:
        running.close()


@pytest.fixture
def start_agent(tmp_path: Path) -> Iterator[StartAgent]:
    """``start_agent(master, name, **settings)``: ended, with all its jobs, after the test."""
    started: list[AgentProcess] = []
    masters: set[Master] = set()

    def start(master: Master, name: str = "", **settings: Any) -> AgentProcess:
        masters.add(master)
        folder = tmp_path / (name or f"node-{tmp_path.name}")
        started.append(AgentProcess(master.url, folder, **settings))
        return started[-1]

    try:
        yield start
        for master in masters:
            if master.popen.poll() is None:
                cancel_all(master.client)
        for agent in started:
            if agent.popen.poll() is None:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    agent.end()
    finally:
        for agent in started:
            kill_tree(agent)
