"""Data to stdout: tables for people, JSON for scripts. Messages go to stderr."""

import json
import os
import re
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, TextIO

from pydantic import BaseModel
from rich.console import Console
from rich.table import Table
from rich.text import Text

UNSHOWN = frozenset(("Cc", "Cf", "Cs", "Zl", "Zp"))
"""Categories of Unicode: controls, what is invisible or turns the direction of text, halves of
surrogate pairs, and separators that some terminals take for new lines."""
ESCAPE_SEQUENCE = re.compile(
    r"\x1b(?:\[[0-?]*[ -/]*[@-~]|[\]PX^_][^\x07\x1b\x9c]*(?:\x07|\x1b\\|\x9c)?|[ -/]*[0-~])"
    r"|\x9b[0-?]*[ -/]*[@-~]"
)
SHORT_CELL = 24
GAP = 2
UNBOUNDED_WIDTH = 100_000
STYLES = {
    "completed": "green",
    "available": "green",
    "ok": "green",
    "running": "cyan",
    "committing": "cyan",
    "busy": "cyan",
    "failed": "red",
    "offline": "red",
    "node_lost": "red",
    "canceled": "yellow",
    "paused": "yellow",
    "preempted": "yellow",
    "draining": "yellow",
    "unused": "yellow",
}


def clean(text: str, *, kept: str = "") -> str:
    """Text without what could drive a terminal or deceive who reads it; ``kept`` names control
    characters to keep."""
    plain = ESCAPE_SEQUENCE.sub("", text)
    return "".join(c for c in plain if c in kept or unicodedata.category(c) not in UNSHOWN)


def clean_log(text: str) -> str:
    """Log text a terminal can show: lines and tabs stay, nothing else is obeyed."""
    return clean(re.sub(r"\r\n?|[\x85\u2028\u2029]", "\n", text), kept="\n\t")


def cell(value: object) -> str:
    """One value as one line of text; nothing is ``-``."""
    if value is None or value == "":
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, float):
        return f"{value:.3f}".rstrip("0").rstrip(".")
    if isinstance(value, Mapping):
        return ", ".join(f"{clean(str(key))}={cell(v)}" for key, v in value.items()) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(cell(item) for item in value) or "-"
    return clean(re.sub(r"\s+", " ", str(value)).strip()) or "-"


def time_text(at: datetime) -> str:
    """RFC 3339 in UTC, whole seconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def size_text(size: float | None) -> str:
    """Bytes in the unit that reads best."""
    if size is None:
        return "-"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"


def seconds_text(seconds: float | None) -> str:
    """Seconds with one decimal, or ``-``."""
    return "-" if seconds is None else f"{seconds:.1f}"


def duration_text(seconds: float | None) -> str:
    """A span of time in its two largest units: ``45s``, ``3m 20s``, ``2h 5m``, ``4d``."""
    if seconds is None:
        return "-"
    left = max(0, round(seconds))
    words = []
    for unit, size in (("d", 86_400), ("h", 3600), ("m", 60), ("s", 1)):
        count, left = divmod(left, size)
        words.append((count, unit))
    first = next((n for n, (count, _) in enumerate(words) if count), len(words) - 1)
    shown = [f"{count}{unit}" for count, unit in words[first : first + 2] if count]
    return " ".join(shown) or "0s"


def percent(fraction: float) -> str:
    """A fraction as per cent."""
    return f"{100 * fraction:.0f}%"


def is_terminal(stream: TextIO) -> bool:
    """True where colour and progress bars are wanted."""
    return stream.isatty() and os.environ.get("TERM") != "dumb"


def console_on(stream: TextIO, *, width: int | None = None) -> Console:
    """Rich on a stream: as wide as it must be where nobody looks, plain where no terminal is."""
    if is_terminal(stream):
        return Console(file=stream, width=width, highlight=False, markup=False, emoji=False)
    return Console(
        file=stream,
        width=UNBOUNDED_WIDTH,
        force_terminal=False,
        color_system=None,
        highlight=False,
        markup=False,
        emoji=False,
    )


def show_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """A table on stdout: a header, then one line per row.

    A terminal too narrow for it folds long cells; one too narrow even for that wraps the lines.
    """
    cells = [[cell(value) for value in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(columns, *cells, strict=True)]
    table = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0))
    for column, width in zip(columns, widths, strict=True):
        table.add_column(column.upper(), overflow="fold", no_wrap=width <= SHORT_CELL)
    for row in cells:
        table.add_row(*map(_styled, row))
    _print_table(table, least_width=sum(min(width, SHORT_CELL) + GAP for width in widths))


def show_facts(facts: Mapping[str, object]) -> None:
    """One thing on stdout: a name and a value per line, nested values flattened."""
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in _flattened(facts):
        table.add_row(name, _styled(cell(value)))
    _print_table(table)


def show_json(data: BaseModel | Mapping[str, Any]) -> None:
    """One JSON document on stdout."""
    plain = data.model_dump(mode="json") if isinstance(data, BaseModel) else data
    write(json.dumps(plain, indent=2, ensure_ascii=True) + "\n")


def write(text: str) -> None:
    """Text to stdout as it is, whatever the stream's encoding cannot say replaced."""
    encoding = sys.stdout.encoding or "utf-8"
    sys.stdout.write(text.encode(encoding, "replace").decode(encoding))
    sys.stdout.flush()


def say(message: str) -> None:
    """One line to stderr."""
    sys.stderr.write(clean(message) + "\n")
    sys.stderr.flush()


def _print_table(table: Table, *, least_width: int = 0) -> None:
    console = console_on(sys.stdout)
    if is_terminal(sys.stdout):
        # What is cut off is lost: rather let the terminal wrap whole lines.
        wide = console_on(sys.stdout, width=UNBOUNDED_WIDTH)
        (wide if least_width > console.width else console).print(table)
        return
    with console.capture() as captured:
        console.print(table)
    write("".join(line.rstrip() + "\n" for line in captured.get().splitlines()))


def _styled(text: str) -> Text:
    return Text(text, style=STYLES.get(text, ""))


def _flattened(facts: Mapping[str, object], prefix: str = "") -> Iterable[tuple[str, object]]:
    for name, value in facts.items():
        if isinstance(value, Mapping) and value:
            yield from _flattened(value, f"{prefix}{clean(str(name))}.")
        elif isinstance(value, list) and value and all(_is_named(item) for item in value):
            for item in value:
                rest = {key: it for key, it in item.items() if key != "name"}
                yield f"{prefix}{clean(str(name))}.{clean(str(item['name']))}", _in_words(rest)
        else:
            yield prefix + clean(str(name)), value


def _is_named(item: object) -> bool:
    return isinstance(item, Mapping) and "name" in item


def _in_words(facts: Mapping[str, object]) -> str:
    return ", ".join(f"{key} {cell(value)}" for key, value in facts.items())
