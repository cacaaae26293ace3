"""What one process bears, with the time given to it."""

import pytest

from ffrtmp.api.load import Load
from ffrtmp.config.limits import Limits
from ffrtmp.domain.access import ANYONE, Caller, Role
from ffrtmp.domain.errors import TooMany

A = Caller(name="a", role=Role.SUBMIT)
B = Caller(name="b", role=Role.ADMIN)


def load(**limits: int) -> Load:
    return Load(limits=Limits.model_validate(limits), now=lambda: 0.0)


def test_bodies_are_held_up_to_a_sum_and_one_is_always_taken() -> None:
    bearing = load(body_bytes=100)

    with bearing.holding(500), pytest.raises(TooMany), bearing.holding(1):
        pass
    with bearing.holding(60), bearing.holding(40):
        with pytest.raises(TooMany) as refused, bearing.holding(1):
            pass
        assert refused.value.retry_after_seconds > 0
    assert bearing.body_bytes == 0


def test_room_of_a_body_is_given_back_when_its_request_fails() -> None:
    bearing = load(body_bytes=100)
    with pytest.raises(ValueError, match="broken"), bearing.holding(100):
        raise ValueError("broken")

    with bearing.holding(100):
        pass


def test_seats_are_counted_by_key_and_in_all_and_given_back() -> None:
    bearing = load(followers=3, followers_per_key=2)

    with bearing.following("a"), bearing.following("a"):
        with pytest.raises(TooMany), bearing.following("a"):
            pass
        with bearing.following("b"), pytest.raises(TooMany), bearing.following("c"):
            pass
    assert bearing.followers == {}


def test_each_key_has_its_own_requests_wherever_it_comes_from() -> None:
    bearing = load(requests_per_minute=1)
    bearing.admit(A, address="192.0.2.1")
    bearing.admit(B, address="192.0.2.1")

    with pytest.raises(TooMany):
        bearing.admit(A, address="192.0.2.2")


def test_where_nobody_is_known_each_address_has_its_own_requests() -> None:
    bearing = load(requests_per_minute=1)
    bearing.admit(ANYONE, address="192.0.2.1")
    bearing.admit(ANYONE, address="192.0.2.2")

    with pytest.raises(TooMany):
        bearing.admit(ANYONE, address="192.0.2.1")


def test_strangers_and_keys_do_not_take_from_each_other() -> None:
    bearing = load(requests_per_minute=1, anonymous_requests_per_minute=1)
    bearing.admit_stranger("a")
    bearing.admit(A, address="a")

    with pytest.raises(TooMany):
        bearing.admit_stranger("a")
