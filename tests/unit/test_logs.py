"""One record is one line, whatever stands in it."""

import io
import logging

import pytest

from ffrtmp.logs import MAX_CHARACTERS, OneRecord, plain

FORGED = "\n2026-01-01 00:00:00,000 ERROR ffrtmp: forged"


def logged(message: str, *about: object, error: Exception | None = None) -> list[str]:
    """The lines of one record."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(OneRecord("%(levelname)s %(name)s: %(message)s"))
    record = logging.LogRecord(
        "x", logging.ERROR, "f", 1, message, about, (type(error), error, None) if error else None
    )
    handler.handle(record)
    return stream.getvalue().removesuffix("\n").split("\n")


@pytest.mark.parametrize(
    "sign", ["\n", "\r", "\r\n", "\x00", "\x1b[31m", "\x0b", "\x85", "\u2028", "\x9b1m", "\ud800"]
)
def test_no_sign_begins_a_line_or_drives_a_terminal(sign: str) -> None:
    (line,) = logged("node %s says so", f"a{sign}b")

    assert line.isprintable()
    assert line.startswith("ERROR x: node a")


def test_what_was_escaped_can_be_told() -> None:
    assert plain("a\nb\x1b[0m é 🎬") == "a\\nb\\x1b[0m é 🎬"


def test_line_that_is_too_long_is_cut() -> None:
    (line,) = logged("%s", "x" * 1_000_000)

    assert len(line) < MAX_CHARACTERS + 100
    assert line.endswith(" [cut]")


def test_no_line_of_a_traceback_looks_like_a_record() -> None:
    first, *below = logged("it failed", error=ValueError(f"bad{FORGED}\r{FORGED}\x1b]0;x\x07"))

    assert first == "ERROR x: it failed"
    assert below
    assert all(line.startswith("    ") for line in below)
    assert all(line.isprintable() for line in below)
