"""When a Celery child is judged to take nothing."""

from collections.abc import Sequence

import pytest

from workers.consumption import LOOKS, MOST_LOOKS, Consumption


class Watched:
    """A child with room and hints waiting for it, unless told otherwise."""

    def __init__(self) -> None:
        self.has_room = self.hints_wait = True
        self.taken = self.children = 0
        self.consumption = Consumption(
            patience_seconds=1,
            has_room=lambda: self.has_room,
            hints_wait=lambda: self.hints_wait,
            taken=lambda: self.taken,
            child=lambda: self.children,
            give_up=self._replace,
        )
        self.consumption.look()

    def _replace(self) -> None:
        self.children += 1

    def look(self, times: int) -> Sequence[bool]:
        return [self.consumption.look() for _ in range(times)]


def test_child_that_takes_nothing_is_given_up_on_and_in_doubt_until_then() -> None:
    watched = Watched()

    assert watched.look(LOOKS - 1) == [False] * (LOOKS - 1)
    assert watched.consumption.is_in_doubt

    assert watched.look(1) == [True]
    assert not watched.consumption.is_in_doubt


@pytest.mark.parametrize("fact", ["has_room", "hints_wait"])
def test_child_that_is_full_or_has_nothing_to_take_is_not_judged(fact: str) -> None:
    watched = Watched()
    setattr(watched, fact, False)

    assert not any(watched.look(10 * LOOKS))
    assert not watched.consumption.is_in_doubt


def test_child_that_takes_a_hint_now_and_then_is_left_alone() -> None:
    watched = Watched()
    for _ in range(10):
        watched.look(LOOKS - 1)
        watched.taken += 1

        assert watched.look(1) == [False]


def looks_until_given_up(watched: Watched) -> int:
    return next(n for n in range(1, 1000) if watched.consumption.look())


def test_next_child_gets_twice_the_patience_until_one_takes_something() -> None:
    watched = Watched()
    patience = [looks_until_given_up(watched) for _ in range(6)]

    assert patience[0] == LOOKS
    # The first look at a new child only meets it.
    assert patience[1:] == [1 + n * LOOKS for n in (2, 4, 8, 8, 8)]
    assert max(patience) == 1 + MOST_LOOKS

    watched.taken += 1
    assert looks_until_given_up(watched) == 1 + LOOKS
