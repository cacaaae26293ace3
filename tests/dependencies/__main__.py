"""``make audit``: known vulnerabilities of what uv.lock names. One line; 1 where there is one.

Without a network it says so, and fails only with ``--strict``.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from tests.dependencies.lock import at_run_time, locked
from tests.dependencies.vulnerabilities import accepted, judged

SECONDS = 120
NOTHING: dict[str, Any] = {"dependencies": []}


def main() -> int:
    """Ask, and say what came of it; an exit code."""
    parser = argparse.ArgumentParser(prog="make audit", description=__doc__)
    parser.add_argument("--strict", action="store_true", help="not to know is a failure, too")
    strict = parser.parse_args().strict
    verdict = judged(reported(), accepted(), today=datetime.now(UTC).date())
    print(verdict.text)
    return 1 if verdict.open or (strict and not verdict.audited) else 0


def reported() -> dict[str, Any]:
    """What pip-audit finds; nothing where it cannot ask."""
    packages = locked()
    wanted = [f"{name}=={packages[name]['version']}" for name in sorted(at_run_time(packages))]
    with tempfile.TemporaryDirectory() as folder:
        list_of_them = Path(folder, "requirements.txt")
        list_of_them.write_text("\n".join(wanted))
        options = ("--no-deps", "--disable-pip", "--format", "json", "--progress-spinner", "off")
        command = [sys.executable, "-m", "pip_audit", "-r", str(list_of_them), *options]
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=SECONDS, check=False
            )
            found: dict[str, Any] = json.loads(done.stdout)
        except (subprocess.TimeoutExpired, json.JSONDecodeError):
            return NOTHING
    return found


if __name__ == "__main__":
    sys.exit(main())
