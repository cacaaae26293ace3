"""Values as text."""

from datetime import datetime, timedelta, timezone

import pytest

from cli.render import cell, clean, clean_log, size_text


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
