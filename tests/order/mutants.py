"""Farms with one promise of order broken each: every one must be found out."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ffrtmp.services import attempts
from ffrtmp.services.ageing import Ageing
from ffrtmp.services.topup import TopUp
from ffrtmp.store import jobs as job_store
from ffrtmp.store.engine import Transaction
from ffrtmp.store.tables import jobs
from tests.simulation.mutant import nothing

Patch = Callable[[object, str, object], None]
Mutant = Callable[[Patch], None]


def rank_upside_down(patch: Patch) -> None:
    """A claim gives the worst-ranked job."""
    patch(job_store, "BEST_FIRST", (jobs.c.rank.desc(), jobs.c.sequence_number))


def first_come_first_served(patch: Patch) -> None:
    """A claim asks for no rank."""
    patch(job_store, "BEST_FIRST", (jobs.c.sequence_number,))


def newest_of_a_rank(patch: Patch) -> None:
    """A claim gives the newest job of the best rank."""
    patch(job_store, "BEST_FIRST", (jobs.c.rank, jobs.c.sequence_number.desc()))


def gpus_not_preferred(patch: Patch) -> None:
    """A CPU is given what a GPU with room could run."""

    def none_has_room(_tx: Transaction) -> Sequence[str]:
        return ()

    patch(attempts, "gpus_with_room", none_has_room)


def no_ageing(patch: Patch) -> None:
    """Waiting raises nobody."""
    patch(Ageing, "run_once", nothing)


def never_the_right_node(patch: Patch) -> None:
    """A pass rings only for everybody."""

    def nobody(*_said: Any, **_known: Any) -> Sequence[Any]:
        return ()

    patch(TopUp, "_for_the_right_nodes", nobody)


def no_top_up(patch: Patch) -> None:
    """A hint that somebody swallowed stays lost."""
    patch(TopUp, "run_once", nothing)


MUTANTS: Mapping[str, Mutant] = {
    mutant.__name__: mutant
    for mutant in (
        rank_upside_down,
        first_come_first_served,
        newest_of_a_rank,
        gpus_not_preferred,
        never_the_right_node,
        no_top_up,
    )
}
