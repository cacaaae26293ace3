"""One seed: a farm, a workload, faults, then rest, and the invariants."""

import itertools
import logging
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from tests.simulation.checker import Checker
from tests.simulation.clients import Clients
from tests.simulation.database import SimStore
from tests.simulation.faults import Faults
from tests.simulation.mutants import MUTANTS
from tests.simulation.node import SimNode
from tests.simulation.operators import Operators
from tests.simulation.work import Fate
from tests.simulation.world import Violation, World

FAULTS_END = 100.0
PATIENCE = 900.0
Mutation = Callable[[World, list[SimNode]], None]

_store: SimStore | None = None


def run_seed(seed: int, mutate: Mutation | None = None) -> None:
    """Violation, naming the seed, where an invariant does not hold; so does any stray error."""
    world = World(seed, _fresh_store())
    fates: dict[str, Fate] = {}
    nodes = [
        SimNode(world, f"node-{n}", fates=fates, runs_everything=n == 0)
        for n in range(world.rng.randint(2, 3))
    ]
    if mutate is not None:
        mutate(world, nodes)
    clients = Clients(world, fates)
    operators = Operators(world, clients, nodes)
    checker = Checker(world, nodes, fates)
    faults = Faults(world, nodes)
    faults.plan(FAULTS_END)
    operators.plan(FAULTS_END)
    try:
        world.run(until=FAULTS_END, stop=lambda: False, check=checker.turn)
        faults.heal()
        operators.keep_open()
        turns = iter(range(10**9))
        world.run(
            until=FAULTS_END + PATIENCE,
            stop=lambda: next(turns) % 25 == 0 and checker.is_at_rest(clients.submitted),
            check=checker.turn,
        )
        checker.end(clients.submitted)
    except Exception as error:
        raise Violation(f"seed {seed} at {world.seconds:.1f} s: {error!r}") from error


def failures(seeds: Sequence[int]) -> list[str]:
    """What is wrong in each of some seeds where anything is, shared among the cores."""
    with _every_core() as pool:
        found = pool.map(_failure, seeds, chunksize=8)
        return [said for said in found if said is not None]


def first_red_seed(name: str, most: int) -> int | None:
    """The first of so many seeds that a mutant turns red; None where it survives them all."""
    with pytest.MonkeyPatch.context() as patch:

        def mutate(world: World, nodes: list[SimNode]) -> None:
            patch.undo()
            MUTANTS[name](patch.setattr, world, nodes)

        for seed in range(most):
            try:
                run_seed(seed, mutate)
            except Violation:
                return seed
    return None


def first_red_seeds(most: int) -> Mapping[str, int | None]:
    """That of every mutant, shared among the cores."""
    with _every_core() as pool:
        found = pool.map(first_red_seed, MUTANTS, itertools.repeat(most))
        return dict(zip(MUTANTS, found, strict=True))


def _failure(seed: int) -> str | None:
    try:
        run_seed(seed)
    except Violation as violation:
        return str(violation)
    return None


def _every_core() -> ProcessPoolExecutor:
    # Outages are what is simulated: their log lines say nothing.
    return ProcessPoolExecutor(
        os.cpu_count(),
        mp_context=get_context("spawn"),
        initializer=logging.disable,
        initargs=(logging.WARNING,),
    )


def _fresh_store() -> SimStore:
    """One database for all seeds of a process, emptied in between: migrating takes longer."""
    global _store
    if _store is None:
        _store = SimStore()
    return _store
