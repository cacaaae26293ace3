"""One run: a fleet, its work, its mishaps, and what the checker found."""

import gc
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

from ffrtmp.domain.policy import FarmPolicy
from tests.order.agent import Agent
from tests.order.arrivals import Arrival, arrivals
from tests.order.checker import Checker
from tests.order.nodes import KINDS, Kind, fleet, troubled
from tests.order.report import Report, report_of
from tests.order.world import PASS_SECONDS, PATIENCE_SECONDS, World

NODE_TIMEOUT_SECONDS = 120.0
PATIENCE_AT_THE_END = 20_000.0

MakeArrivals = Callable[..., Iterator[Arrival]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is run. ``max_wait_seconds`` None is strict order."""

    jobs: int
    nodes: int
    seed: int
    max_wait_seconds: float | None = None
    preempts: bool = False
    arrivals: MakeArrivals = arrivals
    kinds: Sequence[Kind] = KINDS

    @property
    def rules(self) -> FarmPolicy:
        """The farm's policy."""
        return FarmPolicy(
            node_timeout_seconds=NODE_TIMEOUT_SECONDS,
            set_aside_after=3,
            gpu_patience_seconds=PATIENCE_SECONDS,
            max_wait_seconds=self.max_wait_seconds,
            preempts_batch=self.preempts,
            avoid_seconds=5.0,
        )


class Simulation:
    """A plan under way."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        rng = random.Random(plan.seed)
        hosts = fleet(plan.nodes, rng, plan.kinds)
        able = sum(host.work_per_second for host in hosts)
        self._work = list(plan.arrivals(plan.jobs, work_per_second=able, rng=rng))
        hosts = troubled(hosts, until=self._work[-1].at_seconds, rng=rng)
        self.world = World(plan.seed, plan.rules)
        self.checker = Checker(self.world, hosts, jobs=plan.jobs)
        self.agents = [Agent(self.world, host, self.checker) for host in hosts]
        for arrival in self._work:
            self.world.at(arrival.at_seconds, partial(self._submit, arrival))
        self.world.after(PASS_SECONDS, self._pass)

    def finish(self, *, most_found: int) -> Report:
        """Until every job has ended, so much was found (0: all), or nothing is to be hoped for."""
        began = time.process_time()
        end = self._work[-1].at_seconds + PATIENCE_AT_THE_END
        found, facts = self.checker.found, self.checker.facts
        self.world.run(
            until=end,
            is_over=lambda: facts.ended == self._plan.jobs or 0 < most_found <= found.total(),
        )
        if not found:
            self.checker.end()
        return report_of(self.world, self.checker, cpu_seconds=time.process_time() - began)

    def _submit(self, arrival: Arrival) -> None:
        jobs = self.world.farm.jobs.submit([one.request for one in arrival.work])
        self.checker.submitted(jobs, arrival.work)

    def _pass(self) -> None:
        self.world.farm.prove_alive()
        self.world.farm.reconciler.run_once()
        silent = {agent.host.id: agent.is_silent for agent in self.agents}
        self.checker.passed(silent)
        self.world.after(PASS_SECONDS, self._pass)


def run(plan: Plan, *, most_found: int = 0) -> Report:
    """Carry out a plan, to its end or until so much was found."""
    simulation = Simulation(plan)
    # Millions of small objects live to the end: looking for rings among them only costs time.
    gc.disable()
    try:
        return simulation.finish(most_found=most_found)
    finally:
        gc.enable()
