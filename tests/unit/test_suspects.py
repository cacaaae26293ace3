"""Wrong credentials from one address: a few are let pass, then it waits, longer each time."""

from fastapi import FastAPI

from ffrtmp.api.app import _config
from ffrtmp.api.connections import Guard
from ffrtmp.api.suspects import Suspects
from ffrtmp.config import MasterSettings
from ffrtmp.config.limits import Limits
from ffrtmp.domain.suspects import FREE_PER_MINUTE, LONGEST_WAIT_SECONDS, Suspect


def after(wrong: int, *, every_seconds: float = 0.0) -> Suspect:
    suspect = Suspect(since=0.0, last=0.0)
    for number in range(wrong):
        suspect = suspect.after_wrong(number * every_seconds)
    return suspect


def test_a_few_wrong_ones_cost_nothing() -> None:
    assert after(FREE_PER_MINUTE).wait_seconds(0.0) == 0.0
    assert after(FREE_PER_MINUTE + 1).wait_seconds(0.0) > 0.0


def test_each_wait_is_longer_than_the_one_before_up_to_a_minute() -> None:
    suspect, now, waits = after(FREE_PER_MINUTE), 0.0, []
    for _ in range(9):
        suspect = suspect.after_wrong(now)
        waits.append(suspect.wait_seconds(now))
        now += waits[-1]
        assert suspect.wait_seconds(now) == 0.0

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0]


def test_guesses_that_keep_to_every_wait_are_few() -> None:
    suspect, now, guesses = Suspect(since=0.0, last=0.0), 0.0, 0
    while now < 86_400:
        suspect = suspect.after_wrong(now)
        guesses += 1
        now += max(0.01, suspect.wait_seconds(now))

    assert guesses < FREE_PER_MINUTE + 6 + 86_400 / LONGEST_WAIT_SECONDS + 1


def test_one_wrong_one_now_and_then_is_never_a_wait() -> None:
    assert after(1000, every_seconds=61.0).wait_seconds(0.0) == 0.0
    assert after(FREE_PER_MINUTE, every_seconds=6.0).wait_seconds(0.0) == 0.0


def test_what_was_long_ago_is_forgotten() -> None:
    suspect = after(FREE_PER_MINUTE + 5)

    assert suspect.after_wrong(10_000.0).waits == 0


def guessing(*addresses: str, max_suspects: int = 100) -> Suspects:
    """A table in which these have just had to wait for the first time."""
    suspects = Suspects(max_suspects=max_suspects)
    for address in addresses:
        for _ in range(FREE_PER_MINUTE + 1):
            suspects.note_wrong(address, now=0.0)
    return suspects


def test_addresses_wait_for_themselves() -> None:
    suspects = guessing("a")

    assert suspects.is_guesser("a")
    assert not suspects.is_guesser("b")
    assert suspects.turn("a", now=0.5) == 0.5
    assert suspects.turn("b", now=0.5) == 0.0


def test_of_many_guesses_at_once_one_is_looked_at() -> None:
    suspects = guessing("a")

    waits = [suspects.turn("a", now=1.0) for _ in range(40)]
    assert waits == [0.0, *[2.0] * 39]


def test_turn_of_a_right_one_is_followed_by_the_next_at_once_and_forgives_nothing() -> None:
    suspects = guessing("a")
    assert suspects.turn("a", now=1.0) == 0.0
    suspects.note_right("a", now=1.0)

    assert suspects.turn("a", now=1.0) == 0.0
    assert suspects.turn("a", now=1.0) == 4.0


def test_table_stays_small_and_keeps_who_was_heard_last() -> None:
    suspects = guessing("a", max_suspects=3)
    for number in range(2):
        suspects.note_wrong(f"other-{number}", now=1.0)
    assert suspects.is_guesser("a")
    for number in range(100):
        suspects.note_wrong(f"more-{number}", now=1.0)

    assert len(suspects) == 3
    assert not suspects.is_guesser("a")


def test_nobodys_word_for_an_address_counts_unless_a_proxy_is_named() -> None:
    named = {"trusted_proxies": ["10.0.0.7/32"]}
    alone, behind = (
        _config(
            FastAPI(),
            MasterSettings.model_validate(given),
            Guard(limits=Limits(), count=lambda _reason: None),
            None,
        )
        for given in ({}, named)
    )

    assert not alone.proxy_headers
    assert (behind.proxy_headers, behind.forwarded_allow_ips) == (True, ["10.0.0.7/32"])
