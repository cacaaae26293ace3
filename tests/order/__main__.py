"""By hand: ``python -m tests.order --jobs 100000 --nodes 100 --seed 1 [--max-wait 3600]``.

The exit code is 1 where anything was found that must not be.
"""

import argparse
import sys
from pathlib import Path

from tests.order.arrivals import arrivals, cpu_rush, live_flood
from tests.order.run import Plan, run

WORK = {"mixed": arrivals, "flood": live_flood, "rush": cpu_rush}


def main() -> int:
    """0 where the order held."""
    parser = argparse.ArgumentParser(prog="python -m tests.order")
    parser.add_argument("--jobs", type=int, default=100_000)
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--max-wait", type=float, help="seconds; strict order without")
    parser.add_argument("--preempt", action="store_true")
    parser.add_argument("--work", choices=WORK, default="mixed")
    parser.add_argument("--json", type=Path, help="a file for the figures")
    asked = parser.parse_args()
    report = run(
        Plan(
            jobs=asked.jobs,
            nodes=asked.nodes,
            seed=asked.seed,
            max_wait_seconds=asked.max_wait,
            preempts=asked.preempt,
            arrivals=WORK[asked.work],
        )
    )
    print(report.as_table())
    if asked.json:
        asked.json.write_text(report.as_json())
    return 1 if report.found else 0


if __name__ == "__main__":
    sys.exit(main())
