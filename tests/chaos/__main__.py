"""``python -m tests.chaos``: a randomized run against a real farm; exit 1 where it broke a rule."""

import argparse
import random
import shutil
import sys
import tempfile
from pathlib import Path

from tests.chaos.plan import draw
from tests.chaos.run import run


def main() -> int:
    """Run one plan, print what came of it."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1_000_000))
    parser.add_argument("--jobs", type=int, default=300)
    parser.add_argument("--seconds", type=float, default=300.0)
    parser.add_argument("--keep", action="store_true", help="keep the farm's folder and logs")
    asked = parser.parse_args()
    print(f"seed {asked.seed}: {asked.jobs} jobs, faults for {asked.seconds:.0f} s", flush=True)
    folder = Path(tempfile.mkdtemp(prefix="ffrtmp-chaos-"))
    outcome = run(draw(asked.seed, jobs=asked.jobs, seconds=asked.seconds), folder)
    for title, counts in (
        ("faults", outcome.faults),
        ("attempts", outcome.attempts),
        ("jobs", outcome.jobs),
    ):
        said = ", ".join(f"{count} {name}" for name, count in counts.most_common())
        print(f"{title} ({sum(counts.values())}): {said}")
    print(f"at rest {outcome.rest_seconds:.1f} s after the last fault")
    for violation in outcome.violations:
        print(f"VIOLATION: {violation}")
    print(f"{len(outcome.violations)} violations (seed {asked.seed})")
    if asked.keep or outcome.violations:
        print(f"kept in {folder}")
    else:
        shutil.rmtree(folder)
    return 1 if outcome.violations else 0


if __name__ == "__main__":
    sys.exit(main())
