"""One node for all attacks: what one does to it the next would see."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.agents import Master, kill_tree
from tests.security.attacker import WebServer, web_server
from tests.security.target import Target
from tests.waiting import free_port


@pytest.fixture(scope="session")
def attacked_node(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    folder: Path = tmp_path_factory.mktemp("target")
    master = Master(folder, metrics_port=free_port())
    try:
        attacked = Target(folder, master)
        try:
            yield attacked
        finally:
            kill_tree(attacked.agent)
    finally:
        master.close()


@pytest.fixture
def target(attacked_node: Target) -> Target:
    """The node, without what jobs of other tests rightly made."""
    for output in attacked_node.outputs():
        output.unlink()
    return attacked_node


@pytest.fixture
def web() -> Iterator[WebServer]:
    with web_server() as server:
        yield server


@pytest.fixture(scope="session")
def lone_master(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Master]:
    """Without a node of its own: what it accepts waits. It lets anybody ask often."""
    often = {"requests_per_minute", "node_requests_per_minute", "anonymous_requests_per_minute"}
    limits = dict.fromkeys(often, 1_000_000)
    running = Master(tmp_path_factory.mktemp("lone"), limits=limits)
    try:
        yield running
    finally:
        running.close()
