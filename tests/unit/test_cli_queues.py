"""What the queue commands send and show."""

import json
from typing import Any

import pytest

from cli.main import run
from tests.unit import test_cli_exits
from tests.unit.test_cli_exits import StandInMaster

master = test_cli_exits.master


def count(queue: str, rank: int, hardware: str, **numbers: Any) -> dict[str, Any]:
    idle = {"waiting": 0, "running": 0, "oldest_wait_seconds": None, "slots": 4}
    return {"queue": queue, "priority": "high", "rank": rank, "hardware": hardware} | idle | numbers


QUEUES: dict[str, Any] = {
    "queues": [
        count("live", 0, "auto", running=1),
        count("live", 0, "cpu"),
        count("live", 0, "gpu", waiting=2, oldest_wait_seconds=200.4, slots=1),
        count("batch", 6, "auto"),
        count("batch", 6, "cpu", running=1),
    ],
    "slots": 4,
    "slots_busy": 2,
    "paused": [{"queue": "batch", "reason": "the archive\nmoves", "since": "2026-01-02T03:04:05Z"}],
}


def table(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_the_table_leaves_out_idle_rows_but_those_of_any_hardware(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/queues"] = (200, QUEUES)

    assert run(["queues"]) == 0
    header, *rows, last = table(capsys.readouterr().out)
    assert header[:4] == ["RANK", "QUEUE", "PRIORITY", "HARDWARE"]
    assert header[4:] == ["WAITING", "RUNNING", "SLOTS", "OLDEST", "WAIT", "STATE"]
    assert [row[:7] for row in rows] == [
        ["0", "live", "high", "auto", "0", "1", "4"],
        ["0", "live", "high", "gpu", "2", "0", "1"],
        ["6", "batch", "high", "auto", "0", "0", "4"],
        ["6", "batch", "high", "cpu", "0", "1", "4"],
    ]
    assert rows[1][7:] == ["3m", "20s", "-"]
    assert last[:3] == ["slots", "2/4", "busy"]


def test_each_row_of_a_paused_queue_says_so_and_why(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/queues"] = (200, QUEUES)

    assert run(["queues"]) == 0
    rows = capsys.readouterr().out.splitlines()[1:-1]
    assert [row.endswith("paused: the archive moves") for row in rows] == [False, False, True, True]


def test_a_queue_paused_without_a_reason_is_just_paused(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    paused = [{"queue": "live", "reason": None, "since": "2026-01-02T03:04:05Z"}]
    master.answers["/queues"] = (200, QUEUES | {"paused": paused})

    assert run(["queues"]) == 0
    assert [row[-1] for row in table(capsys.readouterr().out)[1:3]] == ["paused", "paused"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", "json", "queues"],
        ["queues", "--output", "json"],
    ],
)
def test_json_has_every_row(
    master: StandInMaster, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    master.answers["/queues"] = (200, QUEUES)

    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out) == QUEUES


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", "json", "queues", "pause", "batch", "--reason", "night"],
        ["queues", "--output", "json", "pause", "batch", "--reason", "night"],
        ["queues", "pause", "batch", "--reason", "night", "--output", "json"],
    ],
)
def test_a_pause_names_queue_and_reason_wherever_the_output_flag_stands(
    master: StandInMaster, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    master.answers["/queues/batch/pause"] = (200, QUEUES)

    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out) == QUEUES
    [(method, path, _, body)] = master.asked
    assert (method, path, body) == ("POST", "/queues/batch/pause", {"reason": "night"})


def test_a_resume_asks_nothing_else_and_shows_the_table(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/queues/live/resume"] = (200, QUEUES | {"paused": []})

    assert run(["queues", "resume", "live"]) == 0
    assert [asked[:2] for asked in master.asked] == [("POST", "/queues/live/resume")]
    assert "paused" not in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments",
    [["queues", "pause"], ["queues", "pause", "slow"], ["queues", "resume", "7"], ["queues", "no"]],
)
def test_a_queue_that_is_none_is_exit_2_and_asks_nothing(
    master: StandInMaster, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert run(arguments) == 2

    out, err = capsys.readouterr()
    assert (out, err.count("\n"), master.asked) == ("", 1, [])
