"""A farm to hurt, and what must hold of it however the test ends."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.chaos.farm import ChaosFarm
from tests.invariants import file_violations, violations

MakeFarm = Callable[..., ChaosFarm]


@pytest.fixture
def make_farm(tmp_path: Path) -> Iterator[MakeFarm]:
    """``make_farm(**master settings)``: a started farm. After the test every invariant is checked
    over its database and its nodes' files, then all of it is killed."""
    farms: list[ChaosFarm] = []

    def make(**settings: Any) -> ChaosFarm:
        folder = tmp_path / f"farm-{len(farms)}"
        folder.mkdir()
        farms.append(ChaosFarm(folder, **settings))
        return farms[-1].start()

    yield make
    for farm in farms:
        farm.close()
    for farm in farms:
        with farm.store() as store:
            assert violations(store, at_rest=False) == []
            assert file_violations(store) == []


@pytest.fixture
def farm(make_farm: MakeFarm) -> ChaosFarm:
    """A started farm without agents."""
    return make_farm()
