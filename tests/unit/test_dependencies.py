"""The packages of a farm: fixed by hash, under suitable licences, nothing known against them."""

import re
from datetime import date
from typing import Any

import pytest

from tests.dependencies.licences import EXCEPTIONS, unsuitable
from tests.dependencies.lock import ROOT, at_run_time, locked, without_hash
from tests.dependencies.vulnerabilities import Accepted, accepted, judged

TODAY = date(2026, 11, 26)
FAULT = {"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["2.0"], "description": ""}
REPORT: dict[str, Any] = {
    "dependencies": [
        {"name": "good", "version": "1.0", "vulns": []},
        {"name": "bad", "version": "1.0", "vulns": [FAULT]},
        {"name": "strange", "skip_reason": "Dependency not found on PyPI"},
    ]
}
SILENCED = re.compile(r"noqa: (?:S\d+)(?:, \w+)*(.*)")


def test_every_locked_package_is_of_the_registry_and_has_hashes() -> None:
    packages = locked()

    assert len(packages) > 100
    assert without_hash(packages) == []


@pytest.mark.parametrize(
    "package",
    [
        {"source": {"git": "https://x"}, "wheels": [{"hash": f"sha256:{'0' * 64}"}]},
        {"source": {"registry": "https://pypi.org/simple"}, "wheels": [{"url": "x"}]},
        {"source": {"registry": "https://other/simple"}, "sdist": {"hash": f"sha256:{'0' * 64}"}},
        {"source": {"registry": "https://pypi.org/simple"}},
    ],
)
def test_package_that_could_be_swapped_is_found(package: dict[str, Any]) -> None:
    assert without_hash({"it": package}) == ["it"]


def test_licence_of_every_package_that_a_farm_needs_is_suitable() -> None:
    needed = at_run_time(locked())

    assert {"fastapi", "celery", "psycopg-binary", "cryptography"} <= needed
    assert not {"pytest", "moto", "mypy", "schemathesis"} & needed
    assert unsuitable(needed) == {}
    assert EXCEPTIONS.keys() <= needed


def test_licence_on_no_list_is_found() -> None:
    assert "certifi" in EXCEPTIONS
    assert unsuitable(["moto"]) == {}
    assert unsuitable(["hypothesis"]) == {"hypothesis": ["MPL-2.0"]}


def test_vulnerability_is_named_until_it_is_accepted_and_again_after_that_day() -> None:
    known = Accepted(id="CVE-1", package="bad", reason="it is not used", until=TODAY)
    other = Accepted(id="CVE-1", package="good", reason="it is not used", until=TODAY)

    assert judged(REPORT, [], today=TODAY).open == ("bad 1.0 PYSEC-1, mended in 2.0",)
    assert judged(REPORT, [other], today=TODAY).open != ()
    assert judged(REPORT, [known], today=TODAY).open == ()
    assert judged(REPORT, [known], today=date(2026, 11, 27)).open != ()
    assert "strange" in judged(REPORT, [known], today=TODAY).text


def test_silence_is_not_taken_for_a_good_answer() -> None:
    unknown = [{"name": "x", "skip_reason": "not found"}]
    for packages in (unknown, []):
        assert judged({"dependencies": packages}, [], today=TODAY).text.startswith("not audited")


def test_what_is_accepted_has_a_reason() -> None:
    assert [one for one in accepted() if len(one.reason) < 20] == []


def test_every_exception_from_a_rule_of_security_in_the_program_has_its_reason() -> None:
    """``assert`` of a type is none: it says what is so, and guards nothing."""
    bare = []
    for folder in ("ffrtmp", "workers", "cli"):
        for file in (ROOT / folder).rglob("*.py"):
            for number, line in enumerate(file.read_text(encoding="utf-8").splitlines(), 1):
                found = SILENCED.search(line)
                if found and "S101" not in found[0] and not found[1].strip(" -"):
                    bare.append(f"{file.relative_to(ROOT)}:{number}")

    assert bare == []
