"""When a stream that broke off is taken up again, and what of it is left."""

import pytest

from ffrtmp.domain.retry import FailureClass
from workers.reconnecting import FIRST_CONNECTION_SECONDS, STEADY_SECONDS, Course, Run

PATIENCE = 60.0
CONNECTION = FailureClass.CONNECTION


def sent(seconds: float, *, until: float) -> Run:
    return Run(
        ended_at=until,
        seconds=seconds,
        sent_seconds=seconds,
        sent_bytes=int(seconds * 1000),
        frames=int(seconds * 30),
        dropped_frames=1,
    )


def refused(*, at: float) -> Run:
    return Run(ended_at=at, seconds=0.0)


def goes_on(
    course: Course, at: float, failure: FailureClass = CONNECTION, *, is_seen_live: bool = False
) -> bool:
    return course.may_go_on(failure, at=at, is_seen_live=is_seen_live, patience_seconds=PATIENCE)


def test_stream_that_was_published_is_taken_up_for_as_long_as_the_patience_lasts() -> None:
    course = Course().after(sent(20, until=100)).after(refused(at=130)).after(refused(at=150))

    assert goes_on(course, 100 + PATIENCE)
    assert not goes_on(course, 101 + PATIENCE)


def test_stream_that_was_never_published_is_given_up_soon() -> None:
    course = Course().after(refused(at=100)).after(refused(at=105))

    assert goes_on(course, 100 + FIRST_CONNECTION_SECONDS)
    assert not goes_on(course, 101 + FIRST_CONNECTION_SECONDS)


def test_connection_that_held_begins_the_patience_anew_and_a_short_one_does_not() -> None:
    broken = Course().after(sent(20, until=100))
    steady = broken.after(sent(STEADY_SECONDS, until=150))
    flapping = broken.after(sent(STEADY_SECONDS - 1, until=150))

    assert goes_on(steady, 150 + PATIENCE)
    assert not goes_on(flapping, 101 + PATIENCE)


@pytest.mark.parametrize("failure", [one for one in FailureClass if one is not CONNECTION])
def test_failure_that_is_none_of_the_connection_is_never_tried_again(
    failure: FailureClass,
) -> None:
    assert not goes_on(Course().after(sent(20, until=100)), 100, failure)


def test_live_source_that_was_seen_and_is_not_readable_any_more_has_broken_off() -> None:
    course = Course().after(sent(20, until=100))

    assert goes_on(course, 100, FailureClass.BAD_INPUT, is_seen_live=True)
    assert not goes_on(course, 100, FailureClass.UNSUPPORTED, is_seen_live=True)


def test_rest_is_what_was_not_sent_and_nothing_where_that_holds_no_frame() -> None:
    course = Course().after(sent(4, until=10)).after(sent(2, until=20))

    assert course.left_of(10) == 4
    assert course.left_of(6.1) == 0
    assert course.left_of(None) is None


def test_facts_are_those_of_all_connections_together() -> None:
    course = Course().after(sent(4, until=10)).after(refused(at=11)).after(sent(2, until=20))

    assert course.facts() == {
        "duration_seconds": 6.0,
        "frames": 180,
        "dropped_frames": 2,
        "bits_per_second": 8000,
        "reconnects": 1,
    }
    assert Course().facts()["bits_per_second"] is None
