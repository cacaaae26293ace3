"""A farm needs no privileges and writes nowhere but in its own folders."""

import os
import subprocess
import sys
from pathlib import Path

from tests.acceptance.farm import FFRTMP
from tests.acceptance.processes import Family

WITHOUT_PRIVILEGES = """
import ctypes, os, sys
PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS = 24, 38
prctl = ctypes.CDLL(None).prctl
for capability in range(64):
    prctl(PR_CAPBSET_DROP, capability, 0, 0, 0)
prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_a_farm_without_privileges_writes_only_into_its_own_folder(tmp_path: Path) -> None:
    """Even root without capabilities obeys a folder's mode, so a write elsewhere fails loudly."""
    family = Family()
    folders = {name: tmp_path / name for name in ("home", "here", "temporary")}
    for folder in folders.values():
        folder.mkdir()
    kept = {k: v for k, v in os.environ.items() if not k.startswith("XDG_")}
    locked = [folders["home"], folders["here"]]
    for folder in locked:
        folder.chmod(0o500)
    finished = subprocess.run(
        [sys.executable, "-c", WITHOUT_PRIVILEGES, FFRTMP, "demo", "--keep"],
        env=kept
        | family.environment
        | {"HOME": str(folders["home"]), "TMPDIR": str(folders["temporary"])},
        cwd=folders["here"],
        capture_output=True,
        text=True,
        check=False,
    )
    made = {name: sorted(child.name for child in path.iterdir()) for name, path in folders.items()}
    for folder in locked:
        folder.chmod(0o700)

    assert finished.returncode == 0, finished.stderr
    assert made["home"] == made["here"] == []
    assert [name.startswith("ffrtmp-demo-") for name in made["temporary"]] == [True]
    family.assert_gone()
