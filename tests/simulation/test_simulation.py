"""The real protocol through thousands of simulated faults; a failing seed reproduces itself:

``python -m tests.simulation SEED``
"""

import os

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.node import SimNode
from tests.simulation.run import run_seed
from tests.simulation.world import Violation, World

SEEDS = int(os.environ.get("FFRTMP_SIMULATION_SEEDS", "500"))
SHARDS = 10
SEEDS_PER_MUTANT = 120


@pytest.mark.parametrize("shard", range(SHARDS))
def test_invariants_hold_through_faults_for_every_seed(shard: int) -> None:
    for seed in range(shard, SEEDS, SHARDS):
        run_seed(seed)


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_turns_the_simulation_red(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def mutate(world: World, nodes: list[SimNode]) -> None:
        monkeypatch.undo()
        MUTANTS[name](monkeypatch.setattr, world, nodes)

    with pytest.raises(Violation, match="seed"):
        for seed in range(SEEDS_PER_MUTANT):
            run_seed(seed, mutate)
