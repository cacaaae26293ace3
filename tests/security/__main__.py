"""Hours of random input: ``python -m tests.security --minutes 10``.

First over 5,000 requests that are made from /openapi.json, then every property of this folder
with many examples, under one seed after another, until the time is up.
"""

import argparse
import os
import subprocess
import sys
import time

from tests.security.fuzzing import VARIABLE

PROPERTIES = ("fuzz", "shown", "arguments")


def main() -> int:
    """Run until the time is up or something fails; an exit code."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="for properties [10]")
    parser.add_argument("--seed", type=int, default=1, help="the first one [1]")
    parser.add_argument("--examples", type=int, default=1000, help="of each property [1000]")
    parser.add_argument("--no-requests", action="store_true", help="properties only")
    asked = parser.parse_args()
    if not asked.no_requests and (code := _pytest("test_openapi.py", "-m", "slow")):
        return code
    ends_at = time.monotonic() + 60 * asked.minutes
    seed = asked.seed
    while time.monotonic() < ends_at:
        sys.stdout.write(f"seed {seed}, {asked.examples} examples of each property\n")
        sys.stdout.flush()
        files = [f"test_{name}.py" for name in PROPERTIES]
        given = ("-k", "any or nothing or judged or exact", f"--hypothesis-seed={seed}")
        if code := _pytest(*files, *given, "--timeout=1800", examples=asked.examples):
            return code
        seed += 1
    return 0


def _pytest(*arguments: str, examples: int | None = None) -> int:
    named = [f"tests/security/{it}" if it.startswith("test_") else it for it in arguments]
    more = {} if examples is None else {VARIABLE: str(examples)}
    return subprocess.call(
        [sys.executable, "-m", "pytest", "-q", *named], env=dict(os.environ) | more
    )


if __name__ == "__main__":
    sys.exit(main())
