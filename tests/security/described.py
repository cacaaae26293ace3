"""Schemathesis against a served API: it asks for what /openapi.json describes, and for what it does
not, and compares every answer with the document."""

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SCHEMATHESIS = str(Path(sys.executable).parent / "schemathesis")
RUN_SECONDS = 3600
CONFIGURATION = """
seed = 1
[auth.openapi.apiKey]
bearer = {key!r}
[auth.openapi.nodeToken]
bearer = {token!r}

# A schema says less than what is asked of a job: 422 is an answer to what it allows, too.
[checks]
positive_data_acceptance.enabled = false
# The list of the tool has no 413, which is how too large a body is refused.
negative_data_rejection.expected-statuses = [
    400, 401, 403, 404, 405, 406, 408, 409, 413, 414, 415, 422, 429, 431
]
# It takes 401 only for a refusal, and whoever sends many wrong credentials gets 429; that no route
# is open is another test.
ignored_auth.enabled = false

# Also the path of another route, whose name "batch" or "register" could be.
[[operations]]
include-path = ["/jobs/batch", "/nodes/register"]
checks.allow_header_conformance.enabled = false
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fuzzed:
    """What came of a run: how many requests there were, and what each fault looks like."""

    requests: int
    failures: list[Any]
    accepted: dict[str, int]
    """Of each operation, as "POST /claims"."""
    said: str


def fuzz(url: str, folder: Path, *arguments: str, key: str, token: str) -> Fuzzed:
    """Run it with the credentials of a person and of a node; ``arguments`` say how much."""
    folder.mkdir(parents=True)
    configuration, report = folder / "schemathesis.toml", folder / "report.json"
    configuration.write_text(CONFIGURATION.format(key=key, token=token))
    command = [
        *(SCHEMATHESIS, "--config-file", str(configuration), "run", f"{url}/openapi.json"),
        *("--warnings", "off", "--no-shrink", "--continue-on-failure", "--request-timeout", "30"),
        *("--report", "json", "--report-json-path", str(report), *arguments),
    ]
    done = subprocess.run(
        command,
        cwd=folder,
        env=os.environ | {"NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=RUN_SECONDS,
        check=False,
    )
    if not report.exists():
        raise AssertionError(f"schemathesis made no report:\n{done.stdout}{done.stderr}")
    return _read(json.loads(report.read_text()), done.stdout)


def _read(report: dict[str, Any], said: str) -> Fuzzed:
    accepted = {
        name: sum(phase["accepted"] for phase in phases.values())
        for name, phases in report["valid_rates"].items()
    }
    return Fuzzed(
        requests=report["test_cases"]["generated"],
        failures=[*report["failures"], *report["errors"]],
        accepted=accepted,
        said=said,
    )
