"""What is known against the packages of a farm, as pip-audit reports it."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

ACCEPTED = Path(__file__).with_name("accepted.toml")


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """A vulnerability that does not matter here, why, and until when that is believed."""

    id: str
    package: str
    reason: str
    until: date


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What came of an audit: what to mend, and which packages nobody said anything about."""

    open: tuple[str, ...]
    unknown: tuple[str, ...]
    audited: int

    @property
    def text(self) -> str:
        """In one line."""
        if self.open:
            return f"vulnerable: {'; '.join(self.open)}"
        if self.audited == 0:
            return "not audited: no network, or no list of vulnerabilities can be reached"
        unknown = f"; nothing is known of {', '.join(self.unknown)}" if self.unknown else ""
        return f"audited {self.audited} packages: no known vulnerability{unknown}"


def accepted(file: Path = ACCEPTED) -> tuple[Accepted, ...]:
    """The list that is kept beside this file."""
    found = tomllib.loads(file.read_text(encoding="utf-8")).get("accepted", [])
    return tuple(Accepted(**one) for one in found)


def judged(report: Mapping[str, Any], known: Sequence[Accepted], *, today: date) -> Verdict:
    """A report of ``pip-audit --format json``; what was accepted counts until its day."""
    bearable = {(one.package, one.id) for one in known if today <= one.until}
    found = report["dependencies"]
    return Verdict(
        open=tuple(
            f"{package['name']} {package['version']} {fault['id']}"
            + (f", mended in {', '.join(fault['fix_versions'])}" if fault["fix_versions"] else "")
            for package in found
            for fault in package.get("vulns", ())
            if not {(package["name"], it) for it in (fault["id"], *fault["aliases"])} & bearable
        ),
        unknown=tuple(package["name"] for package in found if "skip_reason" in package),
        audited=sum("skip_reason" not in package for package in found),
    )
