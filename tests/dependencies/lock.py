"""What uv.lock says of the packages that a farm is made of."""

import re
import tomllib
from collections.abc import Iterator, Mapping, Set
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
OURSELVES = "ffrtmp"
PYPI = "https://pypi.org/simple"
HASH = re.compile(r"sha256:[0-9a-f]{64}")


def locked(root: Path = ROOT) -> Mapping[str, Mapping[str, Any]]:
    """Every package by name."""
    document = tomllib.loads((root / "uv.lock").read_text(encoding="utf-8"))
    return {package["name"]: package for package in document["package"]}


def at_run_time(packages: Mapping[str, Mapping[str, Any]]) -> Set[str]:
    """The names of those that a farm needs, on any system, without what only tests need."""
    found = {OURSELVES}
    waiting = [OURSELVES]
    while waiting:
        package = packages[waiting.pop()]
        named = {one["name"] for one in _needs(package)} - found
        found |= named
        waiting += named
    return found - {OURSELVES}


def without_hash(packages: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """What could be swapped unseen: files without a SHA-256, and sources that are no registry."""
    return sorted(name for name, it in packages.items() if name != OURSELVES and not _is_fixed(it))


def _is_fixed(package: Mapping[str, Any]) -> bool:
    files = [*package.get("wheels", ()), *([package["sdist"]] if "sdist" in package else ())]
    return package["source"] == {"registry": PYPI} and all(
        HASH.fullmatch(file.get("hash", "")) for file in files or [{}]
    )


def _needs(package: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield from package.get("dependencies", ())
    for extra in package.get("optional-dependencies", {}).values():
        yield from extra
