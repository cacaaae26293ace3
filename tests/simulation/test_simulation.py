"""The real protocol through thousands of simulated faults; a failing seed reproduces itself:

``python -m tests.simulation SEED``
"""

import os

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.node import SimNode
from tests.simulation.run import run_on_every_core, run_seed
from tests.simulation.world import Violation, World

SEEDS = int(os.environ.get("FFRTMP_SIMULATION_SEEDS", "500"))
SEEDS_PER_MUTANT = 120


def test_invariants_hold_through_faults_for_every_seed() -> None:
    assert run_on_every_core(SEEDS) == SEEDS


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_turns_the_simulation_red(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def mutate(world: World, nodes: list[SimNode]) -> None:
        monkeypatch.undo()
        MUTANTS[name](monkeypatch.setattr, world, nodes)

    def run_all() -> None:
        for seed in range(SEEDS_PER_MUTANT):
            run_seed(seed, mutate)

    with pytest.raises(Violation, match="seed"):
        run_all()
