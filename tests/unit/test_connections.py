"""When a connection is cut off, decided without one."""

import pytest

from ffrtmp.api.connections import LEFTOVER_SECONDS, Standing, Unread, overdue
from ffrtmp.api.heads import site_of
from ffrtmp.config.limits import Limits

LIMITS = Limits(head_timeout=10, body_timeout=20, write_timeout=30)


@pytest.mark.parametrize(
    ("standing", "seconds", "reason"),
    [
        (Standing(head_since=100.0), 10.0, "head"),
        (Standing(leftover_since=100.0), LEFTOVER_SECONDS, "leftover"),
        (Standing(unread_since=100.0), 30.0, "unread"),
    ],
)
def test_each_state_may_last_its_time_and_no_longer(
    standing: Standing, seconds: float, reason: str
) -> None:
    assert overdue(standing, LIMITS, now=100.0 + seconds) is None
    assert overdue(standing, LIMITS, now=100.1 + seconds) == reason


def test_connection_in_no_such_state_is_kept_for_ever() -> None:
    assert overdue(Standing(), LIMITS, now=1e9) is None


def test_client_that_takes_enough_is_not_behind_and_one_that_takes_little_is() -> None:
    first = Unread(waiting_bytes=100_000, since=0.0)

    assert first.after(99_999, enough_bytes=1_000, now=9.0) == first
    assert first.after(200_000, enough_bytes=1_000, now=9.0) == first
    assert first.after(99_000, enough_bytes=1_000, now=9.0) == Unread(
        waiting_bytes=99_000, since=9.0
    )
    assert first.after(0, enough_bytes=1_000, now=9.0) is None


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", ""),
        ("unix", "unix"),
    ],
)
def test_addresses_of_one_customer_are_one(host: str, site: str) -> None:
    assert site_of(host) == site
