"""Farms as fixtures. A failing test's report ends with the logs of the farms it used."""

from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.acceptance.farm import Farm, RunningFarm
from tests.acceptance.terminals import Terminals

_FARMS: list[Farm] = []


@pytest.fixture(scope="module")
def farm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningFarm]:
    """One ``ffrtmp up`` (one node, two slots) shared by a module's tests; do not break it."""
    folder = tmp_path_factory.mktemp("farm")
    running = RunningFarm(folder, "--slots", "2")
    with _reported(running), running:
        yield running


@pytest.fixture
def start_farm(tmp_path: Path) -> Iterator[Callable[..., RunningFarm]]:
    """``start_farm(*arguments)``: a farm of the test's own, stopped at its end."""
    with ExitStack() as stack:

        def start(*arguments: str, **options: Any) -> RunningFarm:
            running = RunningFarm(tmp_path, *arguments, **options)
            stack.enter_context(_reported(running))
            return stack.enter_context(running)

        yield start


@pytest.fixture
def terminals(tmp_path: Path) -> Iterator[Terminals]:
    """``terminals.master()``, ``terminals.agent()``: processes of their own, stopped at the end."""
    opened = Terminals(tmp_path)
    with _reported(opened), opened:
        yield opened


class _reported:  # noqa: N801
    """Keeps a farm known to the failure report."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm

    def __enter__(self) -> None:
        _FARMS.append(self._farm)

    def __exit__(self, *_: object) -> None:
        _FARMS.remove(self._farm)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Add the logs of live farms to a failing test's report."""
    report = yield
    if report.failed:
        for farm in _FARMS:
            report.sections += [(f"log {name}", tail) for name, tail in farm.log_tails()]
    return report
