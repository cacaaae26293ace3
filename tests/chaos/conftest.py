"""A farm to hurt, and what must hold of it however the test ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.farm import ChaosFarm
from tests.chaos.host import Gate, Host
from tests.invariants import file_violations, violations
from tests.postgresql import PostgreSql, running_postgresql

MakeFarm = Callable[..., ChaosFarm]
StartHost = Callable[..., Host]


def check(farm: ChaosFarm) -> None:
    """Every invariant, over the database and the files of completed jobs."""
    with farm.store() as store:
        assert violations(store, at_rest=False) == []
        assert file_violations(store) == []


@pytest.fixture
def make_farm(tmp_path: Path) -> Iterator[MakeFarm]:
    """``make_farm(**master settings)``: a started farm of the test's own, killed after it."""
    farms: list[ChaosFarm] = []

    def make(**settings: Any) -> ChaosFarm:
        folder = tmp_path / f"farm-{len(farms)}"
        folder.mkdir()
        farms.append(ChaosFarm(folder, **settings))
        return farms[-1].start()

    try:
        yield make
    finally:
        for farm in farms:
            farm.close()
    for farm in farms:
        check(farm)


@pytest.fixture(scope="module")
def module_farm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ChaosFarm]:
    """What ``farm`` hands out, with the master settings that the module calls FARM_SETTINGS."""
    settings = getattr(request.module, "FARM_SETTINGS", {})
    farm = ChaosFarm(tmp_path_factory.mktemp("farm"), **settings)
    try:
        yield farm.start()
    finally:
        farm.close()


@pytest.fixture
def farm(module_farm: ChaosFarm) -> Iterator[ChaosFarm]:
    """A started farm without agents, shared by a module's tests: each leaves its parts running
    and its network whole. Agents and jobs of a test end with it."""
    try:
        yield module_farm
    finally:
        module_farm.clear()
    check(module_farm)


@pytest.fixture
def start_host(farm: ChaosFarm) -> Iterator[StartHost]:
    """``start_host(name, **agent settings)``: registered, on a network of its own."""
    started: list[Host] = []

    def start(name: str, **settings: Any) -> Host:
        started.append(Host(farm, name, **settings))
        started[-1].agent.ready()
        return started[-1]

    try:
        yield start
    finally:
        for host in started:
            host.close()


@pytest.fixture
def gate(tmp_path: Path) -> Gate:
    """Holds back every encode of the agents that are given its ffmpeg."""
    return Gate(tmp_path / "gate")


@pytest.fixture(scope="module")
def postgresql(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgreSql]:
    """A server of the module's own, to hurt."""
    with running_postgresql(tmp_path_factory.getbasetemp().parent / "postgresql.lock") as server:
        yield server
