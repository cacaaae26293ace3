"""The real protocol through thousands of simulated faults; a failing seed reproduces itself:

``python -m tests.simulation SEED``
"""

import os
from collections.abc import Mapping

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.run import failures, first_red_seeds

SEEDS = int(os.environ.get("FFRTMP_SIMULATION_SEEDS", "500"))
SEEDS_PER_MUTANT = 120

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def red_seeds() -> Mapping[str, int | None]:
    return first_red_seeds(SEEDS_PER_MUTANT)


def test_invariants_hold_through_faults_for_every_seed() -> None:
    assert failures(range(SEEDS)) == []


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_turns_the_simulation_red(name: str, red_seeds: Mapping[str, int | None]) -> None:
    assert red_seeds[name] is not None
