"""Seeds by hand: ``python -m tests.simulation 17``, ``… 0 5000``, or ``… --seeds 5000``.

A range is shared among the cores; what is wrong is printed with its seed, and the exit code is 1.
"""

import argparse
import sys

from tests.simulation.run import failures


def main() -> int:
    """0 where every invariant holds."""
    parser = argparse.ArgumentParser(prog="python -m tests.simulation")
    parser.add_argument("first", type=int, nargs="?", default=0)
    parser.add_argument("last", type=int, nargs="?")
    parser.add_argument("--seeds", type=int, help="how many, from the first on")
    asked = parser.parse_args()
    last = asked.first if asked.last is None else asked.last
    count = last + 1 - asked.first if asked.seeds is None else asked.seeds
    seeds = range(asked.first, asked.first + count)
    found = failures(seeds)
    print(*found, sep="\n")
    print(f"seeds {seeds[0]} to {seeds[-1]}: {len(seeds) - len(found)} hold every invariant")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
