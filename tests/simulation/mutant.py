"""What a mutant is: a farm with one promise broken, by patching the services."""

from collections.abc import Callable

from tests.simulation.node import SimNode
from tests.simulation.world import World

Patch = Callable[[object, str, object], None]
Mutant = Callable[[Patch, World, list[SimNode]], None]


def nothing(*_said: object) -> int:
    """In place of what should be done."""
    return 0
