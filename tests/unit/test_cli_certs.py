"""``ffrtmp certs``: the files it makes, and the mistakes it names."""

import json
import os
import stat
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from cli.certs.folder import AuthorityFolder
from cli.main import run
from tests.certificates import DAY


@pytest.fixture
def folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """Of an authority made a moment ago."""
    made = tmp_path / "authority"
    assert certs("init", made) == 0
    capsys.readouterr()
    return made


def certs(command: str, folder: Path, *words: object) -> int:
    return run(["certs", command, "--dir", str(folder), *map(str, words)])


def shown(folder: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    capsys.readouterr()
    assert certs("show", folder, "--output", "json") == 0
    found: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["certificates"]
    return found


def serial(file: Path) -> int:
    return x509.load_pem_x509_certificate(file.read_bytes()).serial_number


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_private_keys_are_their_owners_only_whatever_the_umask(tmp_path: Path) -> None:
    folder, elsewhere = tmp_path / "authority", tmp_path / "elsewhere"
    folder.mkdir(mode=0o777)
    before = os.umask(0)
    try:
        assert certs("init", folder) == 0
        assert certs("issue", folder, "master") == 0
        assert certs("issue", folder, "node", "n1", "--to", elsewhere) == 0
        assert certs("renew", folder, "n1") == 0
    finally:
        os.umask(before)

    keys = [folder / "ca-key.pem", folder / "master/key.pem", elsewhere / "key.pem"]
    assert [mode(key) for key in keys] == [0o600] * 3
    folders = [folder, folder / "issued", folder / "master", elsewhere]
    assert [mode(one) for one in folders] == [0o700] * 4
    holding = [p for p in tmp_path.rglob("*") if p.is_file() and b"PRIVATE" in p.read_bytes()]
    assert {mode(path) for path in holding} == {0o600}


def test_nothing_is_replaced_unless_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    authority = (folder / "ca.pem").read_bytes()
    assert certs("issue", folder, "node", "n1") == 0
    first = (folder / "n1/cert.pem").read_bytes()

    assert certs("init", folder) == 1
    assert "ca.pem exists, and is not replaced" in capsys.readouterr().err
    assert certs("issue", folder, "node", "n1") == 1
    assert "n1/cert.pem exists, and is not replaced" in capsys.readouterr().err

    assert (folder / "ca.pem").read_bytes() == authority
    assert (folder / "n1/cert.pem").read_bytes() == first
    assert certs("issue", folder, "node", "n1", "--renew") == 0
    assert (folder / "n1/cert.pem").read_bytes() != first


def test_an_authority_gets_a_folder_of_its_own(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "film.mp4").touch()
    before = mode(tmp_path)

    assert certs("init", tmp_path) == 1

    assert "is not empty" in capsys.readouterr().err
    assert mode(tmp_path) == before


def test_only_what_is_due_is_renewed_where_it_lies(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    elsewhere = tmp_path / "elsewhere"
    assert certs("issue", folder, "node", "n1", "--host", "n1.example", "--to", elsewhere) == 0
    assert certs("issue", folder, "client", "c1", "--days", 1000) == 0
    before = serial(elsewhere / "cert.pem"), serial(folder / "c1/cert.pem")

    authority, later = AuthorityFolder(folder), datetime.now(UTC) + 80 * DAY
    assert authority.renewable([], now=datetime.now(UTC)) == []
    [due] = authority.renewable([], now=later)
    assert authority.renew(due, now=later, into=None) == folder / "n1"

    assert serial(elsewhere / "cert.pem") != before[0]
    assert serial(folder / "c1/cert.pem") == before[1]
    states = {(one["name"], one["state"]) for one in shown(folder, capsys)}
    assert {("n1", "replaced"), ("n1", "not yet valid"), ("c1", "good")} <= states


def test_revoking_a_name_revokes_every_certificate_it_ever_had(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for command in (("issue", folder, "node", "n1"), ("renew", folder, "n1")):
        assert certs(*command) == 0
    assert certs("issue", folder, "node", "n2") == 0

    assert certs("revoke", folder, "n1") == 0

    listed = x509.load_pem_x509_crl((folder / "crl.pem").read_bytes())
    named = [one for one in shown(folder, capsys) if one["name"] == "n1"]
    assert {f"{entry.serial_number:x}" for entry in listed} == {one["serial"] for one in named}
    assert [one["state"] for one in named] == ["revoked", "revoked"]
    assert certs("renew", folder, "n1") == 1
    assert "n1 is revoked" in capsys.readouterr().err
    assert certs("issue", folder, "node", "n1", "--renew") == 0
    assert [o["state"] for o in shown(folder, capsys) if o["name"] == "n1"][-1] == "good"


def test_a_file_is_shown_with_names_days_and_fingerprint(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert certs("issue", folder, "master", "--host", "farm.example", "--days", 30) == 0
    capsys.readouterr()

    assert run(["certs", "show", str(folder / "master/cert.pem"), "--output", "json"]) == 0

    [found] = json.loads(capsys.readouterr().out)["certificates"]
    assert (found["kind"], found["name"], found["for"]) == ("master", "master", ["farm.example"])
    assert (found["state"], found["days_left"]) == ("good", 29)
    assert len(found["sha256"]) == 95


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["issue", "node"], 2, "has a name"),
        (["issue", "nodes", "n1"], 2, "nodes"),
        (["issue", "node", "n1", "--days", "0"], 2, "days"),
        (
            ["issue", "node", "n1", "--days", "3651"],
            2,
            "n1 for 3651 days: the authority itself ends",
        ),
        (["issue", "master", "--host", "a b"], 2, "--host 'a b'"),
        (["revoke", "nobody"], 1, "no certificate named 'nobody'"),
        (["renew", "nobody"], 1, "no certificate named 'nobody'"),
        (["show", "/nowhere/cert.pem"], 1, "/nowhere/cert.pem cannot be read"),
        (["show", __file__], 1, "holds no certificate"),
    ],
)
def test_a_mistake_is_one_line_that_names_it(
    folder: Path, capsys: pytest.CaptureFixture[str], words: list[str], code: int, said: str
) -> None:
    assert certs(words[0], folder, *words[1:]) == code

    err = capsys.readouterr().err
    assert said in err
    assert err.count("\n") == 1


def test_authority_that_is_absent_expired_or_without_its_key_issues_nothing(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert certs("issue", tmp_path / "nothing", "node", "n1") == 1
    assert "there is no authority in" in capsys.readouterr().err
    assert not (tmp_path / "nothing").exists()
    key = (folder / "ca-key.pem").read_bytes()
    for content, said in ((b"nonsense", "holds no private key"), (None, "ca-key.pem is missing")):
        (folder / "ca-key.pem").unlink()
        if content:
            (folder / "ca-key.pem").write_bytes(content)
        assert certs("issue", folder, "node", "n1") == 1
        assert said in capsys.readouterr().err
        (folder / "ca-key.pem").write_bytes(key)
    old = AuthorityFolder(tmp_path / "old")
    old.create("old", life=DAY, now=datetime.now(UTC) - 2 * DAY)
    assert certs("issue", old.path, "node", "n1") == 1
    assert "expired on" in capsys.readouterr().err
    assert not (folder / "n1").exists()
