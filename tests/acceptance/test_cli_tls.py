"""``ffrtmp up --tls``: HTTPS without a line of openssl."""

import os
import re
import shlex
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.acceptance.farm import FFRTMP, RunningFarm
from tests.integration.trials import bring_to

StartFarm = Callable[..., RunningFarm]


def test_farm_serves_https_with_certificates_of_its_own(
    tmp_path: Path, start_farm: StartFarm
) -> None:
    bring_to(tmp_path / "farm/agents/1")
    farm = start_farm("--tls", "--slots", "1")
    line = re.search(r"in another terminal: export (.*)", farm.console.read_text())
    assert line is not None
    said = dict(word.split("=", 1) for word in shlex.split(line[1]))
    clean = farm.environment()

    def nodes(**environment: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [FFRTMP, "nodes", "list"],
            env=clean | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    assert farm.api_url.startswith("https://")
    assert said["MASTER_CA"] == farm.facts["ca"]
    trusting = nodes(**said)
    assert (trusting.returncode, trusting.stderr) == (0, "")
    assert f"{os.uname().nodename}-1" in trusting.stdout
    distrusting = nodes(**{name: said[name] for name in said if name != "MASTER_CA"})
    assert distrusting.returncode == 3
    assert "give its ca.pem with --ca" in distrusting.stderr
    holding = [
        path
        for path in farm.data_dir.rglob("*")
        if path.is_file() and b"PRIVATE KEY" in path.read_bytes()
    ]
    assert len(holding) == 2
    assert {stat.S_IMODE(path.stat().st_mode) for path in holding} == {0o600}
