"""Under which licences the packages of a farm may be used: those that ask for no more than a
notice, and the few others with the reason why they may."""

import importlib.metadata
from collections.abc import Iterable, Iterator, Mapping

PERMISSIVE = frozenset(
    (
        *("MIT", "MIT-0", "MIT License", "ISC License (ISCL)", "ISC License", "PSF-2.0"),
        *("Apache-2.0", "Apache License 2.0", "Apache Software License"),
        *("BSD", "BSD License", "BSD-2-Clause", "BSD-3-Clause", "New BSD", "3-Clause BSD License"),
        "Dual License",
    )
)
EXCEPTIONS: Mapping[str, str] = {
    "psycopg": "LGPL-3.0: used as it is, as a library that anybody can replace",
    "psycopg-binary": "LGPL-3.0: the same",
    "certifi": "MPL-2.0: used as it is; its terms are for its own files",
}


def unsuitable(names: Iterable[str]) -> dict[str, list[str]]:
    """Packages whose licences are on neither list, with what they say. Those that this system
    does not need are not looked at."""
    found = {name: said for name in names if (said := list(_said_by(name))) != [MISSING]}
    return {
        name: said
        for name, said in found.items()
        if name not in EXCEPTIONS and not (said and set(said) <= PERMISSIVE)
    }


MISSING = "not installed"


def _said_by(name: str) -> Iterator[str]:
    try:
        said = importlib.metadata.metadata(name).json
    except importlib.metadata.PackageNotFoundError:
        yield MISSING
        return
    expression = str(said.get("license_expression", ""))
    if expression:
        yield from (word for word in expression.split() if word not in ("AND", "OR"))
        return
    kinds = [it for it in said.get("classifier", ()) if it.startswith("License ::")]
    yield from (kind.rpartition(" :: ")[2] for kind in kinds)
    if not kinds:
        yield str(said.get("license", "")).partition("\n")[0]
