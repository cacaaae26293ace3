"""Values as text."""

import sys
from datetime import datetime, timedelta, timezone
from io import StringIO

import pytest

from cli.render import cell, clean, clean_log, duration_text, show_facts, show_table, size_text
from cli.watch import ProgressBars
from ffrtmp.schemas import JobAnswer
from tests.unit.test_cli_jobs import JOB


@pytest.mark.parametrize(
    "text",
    [
        "\x1b[31mred\x1b[0m",
        "\x1b]0;title\x07red",
        "\x1b]8;;http://x\x1b\\red\x1b]8;;\x1b\\",
        "r\x00e\x7fd",
        "\x9b31mred",
        "\u202ered\u2069",
        "\x1bPq#0;2\x1b\\red",
        "\x1b(Bred",
    ],
)
def test_whatever_could_drive_a_terminal_is_removed(text: str) -> None:
    assert clean(text) == "red"


def test_a_log_keeps_its_lines_and_tabs() -> None:
    assert clean_log("a\tb\r\nc\rd\x07") == "a\tb\nc\nd"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (None, "-"),
        ("", "-"),
        (True, "yes"),
        (1.5, "1.5"),
        (2.0, "2"),
        ([], "-"),
        (["live", "batch"], "live, batch"),
        ({"a": 1, "b": None}, "a=1, b=-"),
        ("two\nlines", "two lines"),
        (datetime(2026, 1, 2, 5, tzinfo=timezone(timedelta(hours=2))), "2026-01-02T03:00:00Z"),
    ],
)
def test_a_cell_is_one_line(value: object, shown: str) -> None:
    assert cell(value) == shown


@pytest.mark.parametrize(
    ("size", "shown"),
    [(None, "-"), (0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (3 << 40, "3.0 TiB")],
)
def test_sizes_have_the_unit_that_reads_best(size: float | None, shown: str) -> None:
    assert size_text(size) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, "-"),
        (0, "0s"),
        (0.4, "0s"),
        (59.6, "1m"),
        (200.4, "3m 20s"),
        (3600, "1h"),
        (3605, "1h"),
        (7500, "2h 5m"),
        (4 * 86_400 + 3600, "4d 1h"),
    ],
)
def test_a_span_of_time_has_its_two_largest_units(seconds: float | None, shown: str) -> None:
    assert duration_text(seconds) == shown


class Terminal(StringIO):
    """A stream somebody looks at."""

    def isatty(self) -> bool:
        return True


def on_terminal(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Eighty columns in place of pytest's capture, which it sets anew for the test itself."""
    shown = Terminal()
    monkeypatch.setattr(sys, "stdout", shown)
    monkeypatch.setattr(sys, "stderr", shown)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLUMNS", "80")
    return shown


def test_a_terminal_too_narrow_for_a_table_loses_nothing_of_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_terminal(monkeypatch)
    row = [f"{letter * 19}{number}" for number, letter in enumerate("abcdef")]
    show_table(["one", "two", "three", "four", "five", "six"], [row])

    assert clean(terminal.getvalue(), kept="\n").split() == [
        *("ONE", "TWO", "THREE", "FOUR", "FIVE", "SIX"),
        *row,
    ]


def test_a_terminal_wide_enough_gets_one_line_per_row(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_terminal(monkeypatch)
    show_table(["one", "two"], [["a", "completed"], ["b", "x" * 200]])

    lines = clean(terminal.getvalue(), kept="\n").splitlines()
    assert lines[0].split() == ["ONE", "TWO"]
    assert max(map(len, lines)) <= 80
    assert "\x1b[32mcompleted" in terminal.getvalue()


def test_each_of_several_named_things_has_a_line_of_its_own(
    capsys: pytest.CaptureFixture[str],
) -> None:
    show_facts({"renditions": [{"name": "720p", "width": 1280}, {"name": "360p", "width": 640}]})

    assert [line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines()] == [
        ["renditions.720p", "width 1280"],
        ["renditions.360p", "width 640"],
    ]


def test_a_long_reason_to_wait_leaves_the_bar_its_place(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = on_terminal(monkeypatch)
    job = JobAnswer.model_validate(
        JOB | {"status": "pending", "progress": 0.0, "waiting_reason": "no node " * 30}
    )
    with ProgressBars() as bars:
        bars.update(job)

    last = clean_log(terminal.getvalue()).rstrip("\n").splitlines()[-1]
    assert len(last) <= 80
    assert "job 7 720p30-h264" in last
    assert "━" * 16 in last
    assert "0%" in last
    assert "pending attempt 2 (no" in last
