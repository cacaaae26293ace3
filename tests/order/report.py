"""What a run showed: a value, a table and JSON."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from ffrtmp.domain.event import EventKind
from ffrtmp.domain.ranking import RANKS, Priority, Queue
from tests.order.checker import Checker
from tests.order.world import World

NAMES = [f"{queue}/{priority}" for queue in Queue for priority in Priority]


@dataclass(frozen=True, slots=True, kw_only=True)
class RankLine:
    """How long the jobs of one rank waited until their first start, in seconds."""

    name: str
    jobs: int
    p50: float
    p95: float
    longest: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The figures of a run; ``found`` counts what must not be, by kind."""

    virtual_seconds: float
    cpu_seconds: float
    ranks: Sequence[RankLine]
    starts_by_kind: Mapping[str, int]
    gpu_share_of_auto: float
    events: Mapping[str, int]
    claims: Mapping[str, int]
    hints_pushed: int
    idle_seconds: Mapping[str, float]
    longest_idle: Mapping[str, float]
    least_slack: float | None
    """Seconds that were left of what ageing promises, for the job that came closest to it."""
    found: Mapping[str, int]
    examples: Mapping[str, Sequence[str]]

    def as_json(self) -> str:
        """All of it."""
        return json.dumps(asdict(self), indent=2)

    def as_table(self) -> str:
        """For people."""
        lines = [f"{'rank':<16}{'jobs':>8}{'p50 s':>10}{'p95 s':>10}{'max s':>10}"]
        lines += [
            f"{one.name:<16}{one.jobs:>8}{one.p50:>10.1f}{one.p95:>10.1f}{one.longest:>10.1f}"
            for one in self.ranks
        ]
        facts: dict[str, Any] = {
            "GPU share of auto jobs": f"{self.gpu_share_of_auto:.1%}",
            "first starts": _said(self.starts_by_kind),
            "events": _said(self.events),
            "claims": _said(self.claims),
            "hints from passes": self.hints_pushed,
            "idle with work, slot kinds x s": _said(self.idle_seconds),
            "longest idle with work, s": _said(self.longest_idle),
            "least slack of the ageing bound, s": self.least_slack,
            "virtual s": f"{self.virtual_seconds:.0f}",
            "CPU s": f"{self.cpu_seconds:.0f}",
            "found": _said(self.found) or "nothing wrong",
        }
        lines += [f"{name}: {value}" for name, value in facts.items()]
        lines += [f"  {kind}: {one}" for kind, kept in self.examples.items() for one in kept]
        return "\n".join(lines)


def report_of(world: World, checker: Checker, *, cpu_seconds: float) -> Report:
    """The figures of a run that is over."""
    facts = checker.facts
    by_kind: Counter[str] = Counter()
    auto: Counter[str] = Counter()
    for (kind, family, asked), count in facts.starts.items():
        by_kind[f"{kind}, on {family}" if "gpu" in kind else kind] += count
        if asked == "auto":
            auto[family] += count
    return Report(
        virtual_seconds=world.seconds,
        cpu_seconds=cpu_seconds,
        ranks=[_line(checker, rank) for rank in RANKS],
        starts_by_kind=dict(sorted(by_kind.items())),
        gpu_share_of_auto=auto["gpu"] / max(1, auto.total()),
        events={str(kind): facts.counts[kind] for kind in EventKind if facts.counts[kind]},
        claims=dict(checker.claims),
        hints_pushed=world.bell.pushed,
        idle_seconds=dict(checker.idle_seconds),
        longest_idle=dict(checker.longest_idle),
        least_slack=None if checker.least_slack == float("inf") else checker.least_slack,
        found=dict(checker.found),
        examples=checker.examples,
    )


def _line(checker: Checker, rank: int) -> RankLine:
    tasks = [task for task in checker.facts.tasks.values() if task.base_rank == rank]
    waits = sorted(task.started_after for task in tasks if task.started_after is not None)
    return RankLine(
        name=NAMES[rank],
        jobs=len(tasks),
        p50=_at(waits, 0.5),
        p95=_at(waits, 0.95),
        longest=_at(waits, 1.0),
    )


def _at(waits: Sequence[float], share: float) -> float:
    return waits[min(len(waits) - 1, int(share * len(waits)))] if waits else 0.0


def _said(counted: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in counted.items())
