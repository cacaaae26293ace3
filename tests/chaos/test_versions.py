"""An agent of another version works, or is refused in words that name both versions."""

import shutil
from pathlib import Path

import httpx
import pytest

import ffrtmp
from ffrtmp.domain.job import JobStatus
from tests.chaos.farm import ChaosFarm
from tests.integration.agents import KEY, AgentProcess

MAJOR, MINOR, _ = (int(part) for part in ffrtmp.__version__.split("."))
NEWER = f"{MAJOR}.{MINOR + 1}.0"
OLDER = f"{MAJOR}.{max(0, MINOR - 1)}.9"


def agent_of(
    version: str, farm: ChaosFarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AgentProcess:
    """An agent of an installation of its own, which has that version."""
    root = Path(ffrtmp.__file__).parents[1]
    for name in ("ffrtmp", "workers"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    init = tmp_path / "ffrtmp" / "__init__.py"
    init.write_text(init.read_text().replace(ffrtmp.__version__, version))
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return farm.start_agent(f"of-{version}", command=("-P", "-m", "workers"))


def test_agent_one_minor_version_older_works(
    farm: ChaosFarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent_of(OLDER, farm, tmp_path, monkeypatch).ready()

    done = farm.wait_for(farm.submit(), JobStatus.COMPLETED)

    assert done.attempt == 1
    assert farm.client.node(f"of-{OLDER}").version == OLDER


def test_newer_agent_ends_with_a_message_that_names_both_versions(
    farm: ChaosFarm, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = agent_of(NEWER, farm, tmp_path, monkeypatch)

    assert agent.popen.wait(60) == 1
    said = f"agent version {NEWER} does not work with master version {ffrtmp.__version__}"
    assert said in agent.text()
    assert f"of-{NEWER}" not in [node.name for node in farm.client.nodes().nodes]


def test_refused_version_is_named_before_fields_that_only_it_knows(farm: ChaosFarm) -> None:
    body = {"address": "far", "version": NEWER, "unheard_of": 1}

    answer = httpx.post(
        f"{farm.url}/nodes/register", json=body, headers={"Authorization": f"Bearer {KEY}"}
    )

    assert answer.status_code == 409
    assert answer.json()["error"]["code"] == "version_refused"
    assert NEWER in answer.json()["error"]["message"]
