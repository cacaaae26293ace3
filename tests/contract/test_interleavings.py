"""Random interleavings on both databases; a failure prints the shortest steps that lead to it.

``FFRTMP_INTERLEAVINGS=2000 pytest tests/contract/test_interleavings.py`` looks at other ones each
time, and more of them.
"""

import os
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import run_state_machine_as_test

from ffrtmp.store.engine import Store
from tests.builders import START
from tests.contract.machine import FarmMachine

ASKED = os.environ.get("FFRTMP_INTERLEAVINGS")
PROFILE = settings(
    max_examples=int(ASKED or 60),
    stateful_step_count=100 if ASKED else 50,
    derandomize=ASKED is None,
    database=None,
    deadline=None,
    print_blob=True,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str:
    """Databases that do not wait for the disk: thousands of transactions, and no power cut."""
    if request.param == "sqlite":
        return "sqlite://"
    url: str = request.getfixturevalue("postgresql_url")
    return f"{url}{'&' if '?' in url else '?'}options=-c%20synchronous_commit%3Doff"


@pytest.fixture
def store(store_url: str) -> Iterator[Store]:
    store = Store(store_url)
    store.migrate(now=START)
    yield store
    store.close()


@pytest.mark.timeout(1800)
def test_invariants_hold_after_every_step_of_any_interleaving(store: Store) -> None:
    machine: Any = partial(FarmMachine, store)
    run_state_machine_as_test(machine, settings=PROFILE)
