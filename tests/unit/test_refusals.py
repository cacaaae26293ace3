"""Refused requests: counted one by one, logged and written in bounds."""

import logging

import pytest
from prometheus_client import CollectorRegistry, Counter

from ffrtmp.api.refusals import EVENTS_PER_MINUTE, LINES_PER_SECOND, MAX_ADDRESSES, Refusals
from ffrtmp.domain.access import Refusal
from ffrtmp.services.access import Refused


class Door:
    """Refusals in a time that the test moves."""

    def __init__(self) -> None:
        self.now = 100.0
        self.counter = Counter("refused", "x", ["reason"], registry=CollectorRegistry())
        self.refusals = Refusals(counter=self.counter, now=lambda: self.now)

    def refuse(self, address: str, times: int = 1, reason: Refusal = Refusal.UNKNOWN) -> None:
        for _ in range(times):
            self.refusals.note(reason, address=address, name=None, route="GET /jobs")

    def count(self, reason: Refusal) -> float:
        return float(self.counter.labels(reason=reason)._value.get())


@pytest.fixture
def door() -> Door:
    return Door()


def counts(written: list[Refused]) -> dict[str | None, int]:
    return {one.address: sum(one.reasons.values()) for one in written}


def test_each_is_counted(door: Door) -> None:
    door.refuse("a", 1000)

    assert door.count(Refusal.UNKNOWN) == 1000


def test_an_address_is_written_at_once_and_then_once_a_minute_with_all_in_between(
    door: Door,
) -> None:
    door.refuse("a")
    assert counts(list(door.refusals.due())) == {"a": 1}
    door.refuse("a", 50)
    door.refuse("a", 7, Refusal.EXPIRED)
    assert list(door.refusals.due()) == []
    door.now += 60

    (one,) = door.refusals.due()
    assert one.reasons == {Refusal.UNKNOWN: 50, Refusal.EXPIRED: 7}
    door.now += 60
    assert list(door.refusals.due()) == []


def test_many_addresses_are_a_few_events_a_minute_and_none_is_lost(door: Door) -> None:
    written: list[Refused] = []
    for number in range(3 * MAX_ADDRESSES):
        door.refuse(f"address-{number}", 2)
    for _ in range(59):
        written += door.refusals.due()
        door.now += 1.0

    assert len(written) == EVENTS_PER_MINUTE + 1
    assert sum(counts(written).values()) == 6 * MAX_ADDRESSES
    (rest,) = [one for one in written if one.address is None]
    assert rest.addresses > 2 * MAX_ADDRESSES
    assert len(door.refusals._tallies) <= MAX_ADDRESSES


def test_what_could_not_be_written_is_written_later(door: Door) -> None:
    door.refuse("a", 3)
    door.refusals.put_back(door.refusals.due())

    (one,) = door.refusals.due()
    assert (one.address, one.addresses, sum(one.reasons.values())) == (None, 1, 3)


def test_log_has_a_few_lines_a_second_and_says_how_many_it_left_out(
    door: Door, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        door.refuse("a", 1000)
        door.now += 1.0
        door.refuse("a")

    lines = [record.getMessage() for record in caplog.records]
    assert len(lines) == LINES_PER_SECOND + 1
    assert lines[0] == "refused GET /jobs from a: unknown"
    assert lines[-1].endswith(f"; {1000 - LINES_PER_SECOND} more before it")


def test_names_of_an_event_are_a_few(door: Door) -> None:
    for number in range(100):
        door.refusals.note(Refusal.ROLE, address="a", name=f"key-{number}", route="GET /nodes")

    (one,) = door.refusals.due()
    assert len(one.names) == 5
