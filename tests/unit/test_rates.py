"""Buckets of requests, with the time given to them."""

from ffrtmp.api.rates import Rates

PER_MINUTE = 60


def asked(rates: Rates, caller: str, times: int, *, now: float) -> list[float]:
    return [rates.wait_seconds(caller, per_minute=PER_MINUTE, now=now) for _ in range(times)]


def test_caller_may_ask_a_minutes_worth_at_once_and_not_once_more() -> None:
    waits = asked(Rates(), "a", PER_MINUTE + 2, now=5.0)

    assert waits[:PER_MINUTE] == [0.0] * PER_MINUTE
    assert waits[PER_MINUTE:] == [1.0, 1.0]


def test_wait_that_was_named_is_long_enough_and_no_longer() -> None:
    rates = Rates()
    asked(rates, "a", PER_MINUTE, now=0.0)

    assert asked(rates, "a", 1, now=0.5) == [0.5]
    assert asked(rates, "a", 2, now=1.0) == [0.0, 1.0]


def test_bucket_is_full_after_a_minute_and_holds_no_more_after_an_hour() -> None:
    rates = Rates()
    asked(rates, "a", PER_MINUTE, now=0.0)

    waits = asked(rates, "a", PER_MINUTE + 1, now=3600.0)

    assert [wait > 0 for wait in waits] == [False] * PER_MINUTE + [True]


def test_callers_do_not_take_from_each_other() -> None:
    rates = Rates()
    asked(rates, "a", PER_MINUTE + 1, now=0.0)

    assert asked(rates, "b", 1, now=0.0) == [0.0]


def test_table_of_callers_is_bounded_and_keeps_those_that_ask() -> None:
    rates = Rates(max_callers=3)
    asked(rates, "busy", PER_MINUTE, now=0.0)
    for number in range(50):
        asked(rates, f"other-{number}", 1, now=0.0)
        assert asked(rates, "busy", 1, now=0.0) != [0.0]

    assert len(rates) == 3
