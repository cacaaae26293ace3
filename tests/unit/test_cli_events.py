"""What the history's command asks and shows."""

import json
from typing import Any

import pytest

from cli.main import run
from tests.unit import test_cli_exits
from tests.unit.test_cli_exits import StandInMaster
from tests.unit.test_cli_nodes import NODE

master = test_cli_exits.master

EVENT: dict[str, Any] = {
    "id": 7,
    "kind": "node.draining",
    "at": "2026-01-02T03:04:05Z",
    "job_id": None,
    "node_id": "n1",
    "attempt": None,
    "data": {"name": "east", "reason": "new \x1b[31mdisk", "by": "ann"},
}


def test_history_says_what_happened_and_who_did_it(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/events"] = (200, {"events": [EVENT], "count": 1, "next": None})
    assert run(["events", "--kind", "node.draining", "--node", "east", "--limit", "5"]) == 0

    out = capsys.readouterr().out
    [(_, path, _, _)] = master.asked
    for asked in ("kind=node.draining", "node=east", "limit=5"):
        assert asked in path
    assert "ann" in out
    assert "new disk" in out
    assert "\x1b" not in out


def test_history_as_json_is_exact_and_says_where_it_goes_on(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/events"] = (200, {"events": [EVENT], "count": 1, "next": "7"})
    assert run(["events", "--limit", "1", "--output", "json"]) == 0

    said = json.loads(capsys.readouterr().out)
    assert (said["events"], said["next"]) == ([EVENT], "7")


def test_history_is_asked_page_by_page(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    page = {"events": [EVENT], "count": 1, "next": "7"}
    master.answers["/events"] = (200, page)
    assert run(["events", "--limit", "2", "--since", "7d"]) == 0

    assert "cursor" not in master.asked[0][1]
    assert "cursor=7" in master.asked[1][1]
    assert "there are more" in capsys.readouterr().err


def test_revoked_node_is_asked_for_and_shown(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    revoked = NODE | {"revoked_at": "2026-01-02T03:04:05Z"}
    master.answers["/nodes/east/revoke"] = (200, revoked)
    master.answers["/nodes"] = (200, {"nodes": [revoked], "count": 1})
    assert run(["nodes", "revoke", "east"]) == 0
    assert run(["nodes", "list"]) == 0

    assert master.asked[0][:2] == ("POST", "/nodes/east/revoke")
    assert "revoked" in capsys.readouterr().out.rpartition("NAME")[2]
