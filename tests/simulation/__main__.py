"""Run one seed again, or a range: ``python -m tests.simulation 17`` or ``… 0 5000``."""

import sys

from tests.simulation.run import run_seed

numbers = [int(text) for text in sys.argv[1:]]
for seed in range(numbers[0], numbers[-1] + 1):
    run_seed(seed)
print(f"seeds {numbers[0]} to {numbers[-1]}: every invariant holds")
