"""How often random input is tried: a few times in every run, more often in `make fuzz`."""

import os

from hypothesis import HealthCheck, settings

VARIABLE = "FFRTMP_EXAMPLES"


def often(examples: int) -> settings:
    """So many examples of each property, or as many as the environment asks for."""
    return settings(
        max_examples=int(os.environ.get(VARIABLE, examples)),
        deadline=None,
        suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
    )


OFTEN = often(25)
