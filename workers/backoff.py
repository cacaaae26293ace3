"""How long to wait before asking again."""

import random
from collections.abc import Iterator


def jittered_delays(*, base_seconds: float, cap_seconds: float) -> Iterator[float]:
    """Endless delays that double up to the cap, each drawn from the upper half of its ceiling.

    The spread keeps many agents from returning at one instant after an outage.
    """
    ceiling = base_seconds
    while True:
        yield ceiling * random.uniform(0.5, 1.0)  # noqa: S311  spreads load, guards nothing
        ceiling = min(cap_seconds, ceiling * 2)
