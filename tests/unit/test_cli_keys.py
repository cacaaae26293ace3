"""What the key commands send and show."""

import json
import stat
from pathlib import Path
from typing import Any

import pytest

from cli.main import run
from tests.unit import test_cli_exits
from tests.unit.test_cli_exits import StandInMaster

master = test_cli_exits.master

SECRET = "ffr_1a2b3c4d_secret"
SEEN: dict[str, Any] = {
    "name": "alice",
    "role": "submit",
    "prefix": "ffr_1a2b3c4d",
    "state": "live",
    "created_at": "2026-01-02T03:04:05Z",
    "expires_at": "2026-04-02T03:04:05Z",
    "last_used_at": None,
}
NEW = SEEN | {"key": SECRET}


def test_key_that_was_made_is_alone_on_stdout(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/keys"] = (201, NEW)
    assert run(["keys", "create", "alice", "--role", "submit", "--expires", "90d"]) == 0

    out, err = capsys.readouterr()
    [(_, _, _, body)] = master.asked
    assert out == f"{SECRET}\n"
    assert SECRET not in err
    assert "alice" in err
    assert body == {"name": "alice", "role": "submit", "expires_seconds": 90 * 86_400.0}


def test_key_goes_to_a_file_of_its_owner_and_is_not_shown(
    master: StandInMaster, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    master.answers["/keys/alice/rotate"] = (201, NEW)
    file = tmp_path / "key"
    for more in ([], ["--output", "json"]):
        assert run(["keys", "rotate", "alice", "--overlap", "1h", "--to", str(file), *more]) == 0

    out, err = capsys.readouterr()
    assert SECRET not in out + err
    assert file.read_text() == f"{SECRET}\n"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert master.asked[0][3] == {"overlap_seconds": 3600.0, "expires_seconds": None}
    assert json.loads(out)["file"] == str(file)


def test_no_key_is_made_where_its_file_cannot_be(master: StandInMaster, tmp_path: Path) -> None:
    for file in (tmp_path, tmp_path / "none" / "key"):
        assert run(["keys", "create", "alice", "--role", "read", "--to", str(file)]) == 2

    assert master.asked == []


def test_key_as_json_has_everything(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/keys"] = (201, NEW)
    run(["keys", "create", "alice", "--role", "submit", "--output", "json"])

    assert json.loads(capsys.readouterr().out) == NEW


def test_list_shows_what_still_opens_and_all_of_them_on_demand(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    old = SEEN | {"prefix": "ffr_00000000", "state": "revoked"}
    master.answers["/keys"] = (200, {"keys": [SEEN, old], "count": 2})
    run(["keys", "list"])
    some = capsys.readouterr().out
    run(["keys", "list", "--all"])
    every = capsys.readouterr().out

    assert "ffr_1a2b3c4d" in some
    assert "ffr_00000000" not in some
    assert "ffr_00000000" in every


def test_key_of_another_role_is_what_a_forbidden_command_advises(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    error = {"code": "forbidden", "message": "a key of role read may not submit or change jobs"}
    master.answers["/keys/alice"] = (403, {"error": error})

    assert run(["keys", "revoke", "alice"]) == 5
    assert "use a key that is made for this" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["create", "alice"],
        ["create", "alice", "--role", "owner"],
        ["create", "alice", "--role", "read", "--expires", "soon"],
        ["rotate", "alice", "--overlap", "-1h"],
    ],
)
def test_wrong_command_line_asks_nothing(master: StandInMaster, arguments: list[str]) -> None:
    assert run(["keys", *arguments]) == 2
    assert master.asked == []
