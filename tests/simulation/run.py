"""One seed: a farm, a workload, faults, then rest, and the invariants."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

from ffrtmp.domain.errors import FarmError
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.services.jobs import Idempotency
from ffrtmp.store.engine import Store
from ffrtmp.store.tables import metadata
from tests import builders
from tests.builders import START
from tests.simulation.checker import Checker
from tests.simulation.node import Fate, SimNode
from tests.simulation.world import Unreachable, Violation, World

FAULTS_END = 100.0
PATIENCE = 1500.0
Mutation = Callable[[World, list[SimNode]], None]

_store: Store | None = None


def run_seed(seed: int, mutate: Mutation | None = None) -> None:
    """Violation, naming the seed, where an invariant does not hold; so does any stray error."""
    world = World(seed, _fresh_store())
    fates: dict[str, Fate] = {}
    count = world.rng.randint(2, 3)
    nodes = [
        SimNode(world, f"node-{n}", slots=world.rng.randint(1, 2), fates=fates)
        for n in range(count)
    ]
    if mutate is not None:
        mutate(world, nodes)
    clients = Clients(world, fates)
    checker = Checker(world, nodes)
    Faults(world, nodes).plan()
    try:
        world.run(until=FAULTS_END, stop=lambda: False, check=checker.turn)
        _heal(world, nodes)
        turns = iter(range(10**9))
        world.run(
            until=FAULTS_END + PATIENCE,
            stop=lambda: next(turns) % 25 == 0 and checker.is_at_rest(clients.submitted),
            check=checker.turn,
        )
        checker.end(clients.submitted)
    except Exception as error:
        raise Violation(f"seed {seed} at {world.seconds:.1f} s: {error!r}") from error


def run_seeds(seeds: Sequence[int]) -> int:
    """Several seeds, one after the other; how many held."""
    for seed in seeds:
        run_seed(seed)
    return len(seeds)


def run_on_every_core(count: int) -> int:
    """The first ``count`` seeds, shared among the cores; how many held."""
    processes = os.cpu_count() or 1
    shards = [range(first, count, processes) for first in range(processes)]
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return sum(pool.map(run_seeds, shards))


class Clients:
    """Submit until answered, sometimes cancel, sometimes retry."""

    def __init__(self, world: World, fates: dict[str, Fate]) -> None:
        self._world = world
        self._fates = fates
        self.submitted = world.rng.randint(5, 9)
        for number in range(self.submitted):
            world.after(world.rng.uniform(0.0, 50.0), lambda n=number: self._submit(n))  # type: ignore[misc]

    def _submit(self, number: int) -> None:
        rng = self._world.rng
        asked = builders.request(
            queue=rng.choice(list(Queue)),
            priority=rng.choice(list(Priority)),
            is_stream=rng.random() < 0.15,
        )
        fate = rng.choices(list(Fate), weights=[70, 8, 10, 5, 7])[0]
        self._send(number, asked, fate)

    def _send(self, number: int, asked: object, fate: Fate) -> None:
        world = self._world
        key = Idempotency(owner="client", key=f"k{number}", body_sha256="x")

        def submit() -> str:
            (job,) = world.farm.jobs.submit([asked], idempotency=key)  # type: ignore[list-item]
            self._fates[job.id] = fate
            return job.id

        try:
            job_id = world.call(lambda: True, submit)
        except Unreachable:
            world.after(world.jitter(2.0), lambda: self._send(number, asked, fate))
            return
        if world.rng.random() < 0.2:
            world.after(world.rng.uniform(0.0, 50.0), lambda: self._try("cancel", job_id))
        if world.rng.random() < 0.1:
            world.after(world.rng.uniform(40.0, 90.0), lambda: self._try("retry", job_id))

    def _try(self, verb: str, job_id: str) -> None:
        jobs = self._world.farm.jobs
        try:
            self._world.call(lambda: True, lambda: getattr(jobs, verb)(job_id))
        except (FarmError, Unreachable):
            return


class Faults:
    """A handful of faults of every kind, at random moments before FAULTS_END."""

    def __init__(self, world: World, nodes: list[SimNode]) -> None:
        self._world = world
        self._nodes = nodes

    def plan(self) -> None:
        """Draw them."""
        rng = self._world.rng
        kinds = [
            self._crash,
            self._partition,
            self._freeze,
            self._world.broker.flush,
            self._broker_away,
            self._api_away,
            self._control_away,
            self._clock_jump,
        ]
        for _ in range(rng.randint(2, 6)):
            self._world.after(rng.uniform(2.0, FAULTS_END - 10.0), rng.choice(kinds))

    def _crash(self) -> None:
        node = self._world.rng.choice(self._nodes)
        node.crash()
        self._world.after(self._world.rng.choice([1.0, 5.0, 90.0]), node.restart)

    def _partition(self) -> None:
        node, seconds = self._world.rng.choice(self._nodes), self._world.rng.uniform(5.0, 90.0)
        node.is_cut_off = True
        node.blame(seconds)

        def reconnect() -> None:
            node.is_cut_off = False

        self._world.after(seconds, reconnect)

    def _freeze(self) -> None:
        self._world.rng.choice(self._nodes).freeze(self._world.rng.uniform(5.0, 90.0))

    def _broker_away(self) -> None:
        self._switch(self._world.broker, "is_up")

    def _api_away(self) -> None:
        self._switch(self._world, "api_is_up")

    def _control_away(self) -> None:
        self._switch(self._world, "control_is_up")

    def _switch(self, what: object, name: str) -> None:
        seconds = self._world.rng.uniform(5.0, 120.0)
        setattr(what, name, False)
        self._world.after(seconds, lambda: setattr(what, name, True))
        for node in self._nodes:
            if node.own_fault_until > self._world.seconds:
                node.own_fault_until += seconds + 20.0

    def _clock_jump(self) -> None:
        self._world.clock_skew += self._world.rng.choice([-600.0, -30.0, 30.0, 600.0])


def _heal(world: World, nodes: list[SimNode]) -> None:
    world.api_is_up = world.control_is_up = world.broker.is_up = True
    for node in nodes:
        node.is_cut_off = False
        node.restart()


def _fresh_store() -> Store:
    """One database for all seeds of a process, emptied in between: migrating takes longer."""
    global _store
    if _store is None:
        _store = Store("sqlite://")
        _store.migrate(now=START)
    with _store.write() as tx:
        for table in metadata.sorted_tables:
            tx.clock._db.execute(table.delete())
        tx.clock.create(START)
    return _store
