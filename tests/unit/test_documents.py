"""The documents name tests, and the tests are there."""

import ast
import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([a-z_]+/test_[a-z_]+\.py)::(test_[a-z0-9_]+)`")


def names_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text() if file.exists() else "")
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def named() -> set[tuple[str, str]]:
    return set(NAMED.findall((ROOT / "docs" / "faults.md").read_text()))


def test_every_test_that_the_table_of_faults_names_is_there() -> None:
    missing = {
        (file, test) for file, test in named() if test not in names_in(ROOT / "tests" / file)
    }

    assert len(named()) > 50
    assert missing == set()


def test_every_test_of_a_fault_stands_in_the_table() -> None:
    there = {
        (f"chaos/{file.name}", test)
        for file in (ROOT / "tests" / "chaos").glob("test_*.py")
        for test in names_in(file)
    }

    assert there - named() == set()


def test_every_row_names_a_test() -> None:
    rows = [
        line
        for line in (ROOT / "docs" / "faults.md").read_text().splitlines()
        if line.startswith("| ") and not line.startswith("| fault ")
    ]

    assert [row for row in rows if not NAMED.search(row)] == []
