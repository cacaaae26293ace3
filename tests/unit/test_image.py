"""What the image is made of: checked files only, and nobody in it is root."""

import re
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
DOCKERFILE = (REPOSITORY / "ops/Dockerfile").read_text()
STEPS = re.sub(r"\\\n\s*", "", re.sub(r"(?m)^#.*\n", "", DOCKERFILE)).splitlines()


def steps(instruction: str) -> list[str]:
    """What follows each such instruction, in order."""
    return [line.partition(" ")[2] for line in STEPS if line.split(" ")[0] == instruction]


def last_stage() -> list[str]:
    start = max(at for at, line in enumerate(STEPS) if line.startswith("FROM "))
    return STEPS[start:]


def test_whoever_runs_in_it_is_a_number_that_is_not_root() -> None:
    user = [line.split()[1] for line in last_stage() if line.startswith("USER ")][-1]
    assert re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", user), "a name could be anybody's, also root's"
    assert last_stage().index(f"USER {user}") < next(
        at for at, line in enumerate(last_stage()) if line.startswith("ENTRYPOINT")
    )


def test_nothing_in_it_raises_rights() -> None:
    assert any("-perm /6000 -exec chmod a-s" in line for line in last_stage())


def test_every_package_is_checked_against_a_hash() -> None:
    installs = [line for line in steps("RUN") if "pip install" in line or "uv sync" in line]
    assert installs
    for line in installs:
        assert "--require-hashes" in line if "pip install" in line else "--frozen" in line
    assert not steps("ADD"), "ADD fetches from anywhere"


def test_installer_is_one_version_with_hashes() -> None:
    text = (REPOSITORY / "ops/uv.txt").read_text()
    assert re.findall(r"(?m)^(\S+)==\d+\.\d+\.\d+ \\$", text) == ["uv"]
    assert len(re.findall(r"--hash=sha256:[0-9a-f]{64}\b", text)) >= 2


def test_base_is_the_same_in_every_stage() -> None:
    assert {line.split()[0] for line in steps("FROM")} == {
        "docker.io/library/python:3.11-slim-bookworm"
    }


@pytest.mark.parametrize("line", [it for it in steps("COPY") if not it.startswith("--from")])
def test_context_holds_what_is_copied_and_nothing_by_chance(line: str) -> None:
    ignored = (REPOSITORY / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    for source in line.split()[:-1]:
        assert f"!{source}" in ignored
        assert (REPOSITORY / source).exists()
