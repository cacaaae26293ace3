"""Who starts when, on many nodes, with mishaps: the real ranking and placement against a model.

``python -m tests.order --jobs 100000 --nodes 100 --seed 1`` runs it by hand, at any size.
"""

from functools import cache, partial

import pytest

from tests.order.arrivals import MEAN_RUN_SECONDS, arrivals, live_flood
from tests.order.mutants import MUTANTS, never_the_right_node, no_ageing
from tests.order.nodes import FEW_ABLE
from tests.order.report import Report
from tests.order.run import Plan, run

MAX_WAIT_SECONDS = 80.0
STRICT = Plan(jobs=800, nodes=20, seed=1)
FLOODED = Plan(jobs=600, nodes=20, seed=1, arrivals=live_flood)
AGEING = Plan(jobs=600, nodes=20, seed=1, arrivals=live_flood, max_wait_seconds=MAX_WAIT_SECONDS)
PREEMPTING = Plan(jobs=500, nodes=20, seed=3, preempts=True)
QUIET = Plan(jobs=300, nodes=20, seed=1, kinds=FEW_ABLE, arrivals=partial(arrivals, loads=(0.3,)))
SMALL = Plan(jobs=400, nodes=20, seed=1)

pytestmark = pytest.mark.timeout(3600)


@cache
def report_of(plan: Plan) -> Report:
    return run(plan)


def test_many_jobs_on_troubled_nodes_start_in_strict_order() -> None:
    report = report_of(STRICT)

    assert report.found == {}, report.as_table()


def test_jobs_that_wait_long_start_within_the_bound_that_ageing_promises() -> None:
    report = report_of(AGEING)

    assert report.found == {}, report.as_table()


def test_worst_rank_under_endless_live_jobs_waits_much_less_with_ageing() -> None:
    aged, strict = report_of(AGEING).ranks[-1], report_of(FLOODED).ranks[-1]

    assert aged.longest < MAX_WAIT_SECONDS + MEAN_RUN_SECONDS < strict.p50


def test_farm_that_raises_nobody_breaks_the_bound_of_ageing() -> None:
    with pytest.MonkeyPatch.context() as patch:
        no_ageing(patch.setattr)
        report = run(AGEING)

    assert {"raised late", "inversion", "too late"} <= report.found.keys()


def test_live_jobs_that_take_the_slots_of_batch_jobs_keep_the_order() -> None:
    report = report_of(PREEMPTING)

    assert report.found == {}, report.as_table()
    assert report.events["job.paused"] > 0


def test_jobs_that_few_nodes_can_run_find_them_among_many_that_are_idle() -> None:
    report = report_of(QUIET)

    assert report.found == {}, report.as_table()


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_found_out(name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        plan = QUIET if name == never_the_right_node.__name__ else SMALL
        MUTANTS[name](patch.setattr)
        report = run(plan, most_found=1)

    assert report.found


@pytest.mark.slow
@pytest.mark.timeout(4 * 3600)
@pytest.mark.parametrize("max_wait_seconds", [None, 900.0])
def test_hundred_thousand_jobs_on_hundred_nodes_keep_the_order(
    max_wait_seconds: float | None,
) -> None:
    plan = Plan(jobs=100_000, nodes=100, seed=1, max_wait_seconds=max_wait_seconds)
    report = run(plan)

    assert report.found == {}, report.as_table()
