"""The real protocol through thousands of simulated faults; a failing seed reproduces itself:

``python -m tests.simulation SEED``
"""

import os
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.simulation.mutants import MUTANTS
from tests.simulation.node import SimNode
from tests.simulation.run import run_seed, run_seeds
from tests.simulation.world import Violation, World

SEEDS = int(os.environ.get("FFRTMP_SIMULATION_SEEDS", "500"))
SEEDS_PER_MUTANT = 120


def test_invariants_hold_through_faults_for_every_seed() -> None:
    processes = os.cpu_count() or 1
    shards = [range(first, SEEDS, processes) for first in range(processes)]

    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        assert sum(pool.map(run_seeds, shards)) == SEEDS


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
