"""The documents name tests, and the tests are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
NAMED = re.compile(r"`([a-z_]+/test_[a-z0-9_]+\.py)::(test_[a-z0-9_]+)`")
TABLES = [("faults.md", "chaos", 50), ("security.md", "security", 25)]
"""A document, the folder whose tests it places, and how many it names at least."""


def names_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text() if file.exists() else "")
    return {
        node.name
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    }


def named(document: str) -> set[tuple[str, str]]:
    return set(NAMED.findall((ROOT / "docs" / document).read_text()))


@pytest.mark.parametrize(("document", "_folder", "least"), TABLES)
def test_every_test_that_a_table_names_is_there(document: str, _folder: str, least: int) -> None:
    missing = {
        (file, test)
        for file, test in named(document)
        if test not in names_in(ROOT / "tests" / file)
    }

    assert len(named(document)) > least
    assert missing == set()


@pytest.mark.parametrize(("document", "folder", "_least"), TABLES)
def test_every_test_of_a_fault_or_an_attack_stands_in_its_table(
    document: str, folder: str, _least: int
) -> None:
    there = {
        (f"{folder}/{file.name}", test)
        for file in (ROOT / "tests" / folder).glob("test_*.py")
        for test in names_in(file)
    }

    assert there - named(document) == set()


@pytest.mark.parametrize(("document", "_folder", "_least"), TABLES)
def test_every_row_names_a_test(document: str, _folder: str, _least: int) -> None:
    rows = [
        line
        for line in (ROOT / "docs" / document).read_text().splitlines()
        if line.startswith("| ") and not re.match(r"\| (fault|attack) ", line)
    ]

    assert [row for row in rows if not NAMED.search(row)] == []
