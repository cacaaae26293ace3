"""What counts as a hint: exactly what was sent, and nothing that merely looks like one."""

from typing import Any

import pytest

from ffrtmp.broker.messages import hint_from_kwargs, hint_kwargs
from ffrtmp.domain.hint import Hint

JOB = "0190163d-8694-739b-aea5-966c26f8ad91"
GOOD: dict[str, Any] = {"v": 1, "job_id": JOB, "rank": 3}


def test_a_hint_survives_the_way_there_and_back() -> None:
    hint = Hint(job_id=JOB, rank=8, queue_name="batch")

    assert hint_from_kwargs(hint_kwargs(hint), queue_name="batch") == hint


@pytest.mark.parametrize(
    "garbage",
    [
        {},
        {"v": 1, "job_id": JOB},
        GOOD | {"command": "rm -rf /"},
        GOOD | {"v": 2},
        GOOD | {"v": True},
        GOOD | {"v": "1"},
        GOOD | {"rank": 9},
        GOOD | {"rank": -1},
        GOOD | {"rank": 3.0},
        GOOD | {"rank": True},
        GOOD | {"rank": None},
        GOOD | {"job_id": 7},
        GOOD | {"job_id": ""},
        GOOD | {"job_id": "../../etc/passwd"},
        GOOD | {"job_id": JOB.upper()},
        GOOD | {"job_id": JOB.replace("-", "")},
        GOOD | {"job_id": [JOB]},
    ],
    ids=str,
)
def test_anything_else_is_no_hint(garbage: dict[str, Any]) -> None:
    assert hint_from_kwargs(garbage, queue_name="live") is None
