"""Work that can be left behind."""

import threading

import pytest

from workers.watched import Overdue, watched


def test_result_and_error_of_the_work_reach_whoever_waits() -> None:
    def fail() -> None:
        raise TimeoutError("of the work itself")

    assert watched("seven", lambda: 7, is_overdue=lambda: True, when_late=lambda: None) == 7
    with pytest.raises(TimeoutError, match="of the work itself"):
        watched("fails", fail, is_overdue=lambda: True, when_late=lambda: None)


def test_work_that_does_not_end_is_left_behind_and_cleans_up_when_it_does() -> None:
    may_end, was_late = threading.Event(), threading.Event()

    with pytest.raises(Overdue) as caught:
        watched("hangs", may_end.wait, is_overdue=lambda: True, when_late=was_late.set)

    assert not was_late.is_set()
    may_end.set()
    caught.value.thread.join(10)
    assert was_late.is_set()
