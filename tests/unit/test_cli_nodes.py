"""What the node commands send and show."""

import json
from typing import Any

import pytest

from cli.main import run
from cli.nodes import trials_text
from tests.unit import test_cli_exits
from tests.unit.test_cli_exits import StandInMaster
from tests.unit.test_cli_jobs import ATTEMPT, JOB

master = test_cli_exits.master

CPU: dict[str, Any] = {
    "id": "cpu",
    "name": "AMD EPYC",
    "slots": 4,
    "slots_busy": 2,
    "capabilities": ["auto:h264", "auto:hevc", "cpu:h264", "cpu:hevc"],
    "set_aside": None,
}
GPU: dict[str, Any] = {
    "id": "gpu0",
    "name": "NVIDIA L4",
    "slots": 3,
    "slots_busy": 0,
    "capabilities": ["auto:h264", "gpu:h264", "nvenc:av1", "nvenc:h264", "vaapi:h264"],
    "set_aside": "set aside: 3 different jobs in a row failed here, hardware",
}
NODE: dict[str, Any] = {
    "id": "n1",
    "name": "east",
    "address": "east.farm",
    "type": "server",
    "status": "busy",
    "slots": 7,
    "slots_busy": 2,
    "queues": ["live", "default", "batch"],
    "capabilities": ["auto:h264"],
    "hardware": {},
    "load": {},
    "last_heartbeat": "2026-01-02T03:04:05Z",
    "registered_at": "2026-01-02T03:04:05Z",
    "running": [],
    "devices": [CPU, GPU],
    "reserve_live": 1,
    "version": "1",
    "drain_reason": None,
}
RUNNING: list[dict[str, Any]] = [
    {"job_id": f"id-{number}", "sequence_number": number, "attempt": 1, "progress": 0.5}
    for number in (7, 8, 9)
]


def answer_paused(master: StandInMaster, pauses: dict[int, str]) -> None:
    """Let the master say which jobs are paused, and why."""
    jobs = [
        JOB | {"id": f"id-{n}", "sequence_number": n, "status": "paused", "attempt": 1}
        for n in pauses
    ]
    master.answers["/jobs"] = (200, {"jobs": jobs, "count": len(jobs), "next": None})
    for number, pause in pauses.items():
        attempts = [ATTEMPT | {"pause": pause}]
        master.answers[f"/jobs/id-{number}/attempts"] = (200, {"attempts": attempts})


def test_a_described_node_shows_each_device_in_a_line(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/nodes/east"] = (200, NODE)

    assert run(["nodes", "describe", "east"]) == 0
    facts = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert facts["devices.cpu"] == "AMD EPYC; 2/4 busy; cpu h264 hevc"
    assert facts["devices.gpu0"] == (
        "NVIDIA L4; 0/3 busy; nvenc av1 h264, vaapi h264;"
        " set aside: 3 different jobs in a row failed here, hardware"
    )
    assert facts["reserve_live"] == "1"


def test_tests_of_a_described_node_are_one_line_and_none_are_nothing(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    works = {"device": "cpu", "encoder": "libx264", "bits": 8, "works": True, "reason": None}
    hardware = {"encoders": [works], "decoders": []}
    master.answers["/nodes/east"] = (200, NODE | {"hardware": hardware})

    assert run(["nodes", "describe", "east"]) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert shown["hardware.encoders"].strip() == "1 of 1 tests passed"
    assert shown["hardware.decoders"].strip() == "-"


def test_a_node_without_devices_is_described_as_well(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/nodes/east"] = (200, NODE | {"devices": []})

    assert run(["nodes", "describe", "east"]) == 0
    assert ["devices", "-"] in [line.split() for line in capsys.readouterr().out.splitlines()]


@pytest.mark.parametrize(
    ("drain_reason", "reason"),
    [
        (None, "gpu0 set aside: 3 different jobs in a row failed here, hardware"),
        ("new disk", "new disk; gpu0 set aside: 3 different jobs in a row failed here, hardware"),
    ],
)
def test_a_list_says_which_gpu_is_set_aside_and_counts_all_slots(
    master: StandInMaster,
    capsys: pytest.CaptureFixture[str],
    drain_reason: str | None,
    reason: str,
) -> None:
    node = NODE | {"drain_reason": drain_reason}
    master.answers["/nodes"] = (200, {"nodes": [node], "count": 1})

    assert run(["nodes", "list"]) == 0
    row = capsys.readouterr().out.splitlines()[1]
    assert row.split()[3] == "2/7"
    assert row.endswith(f"  {reason}")


def test_a_list_has_no_reason_where_nothing_is_wrong(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/nodes"] = (200, {"nodes": [NODE | {"devices": [CPU]}], "count": 1})

    assert run(["nodes", "list"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "-"


def test_a_drain_that_waits_names_what_runs_and_ends_when_nothing_does(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_paused(master, {8: "operator", 9: "preempted"})
    master.answers["/nodes/east/drain"] = (200, NODE | {"running": RUNNING})
    master.answers["/nodes/n1"] = (200, NODE | {"status": "draining"})

    assert run(["nodes", "drain", "east", "--wait", "--timeout", "5s", "--output", "json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "draining"
    assert err == (
        "east still runs job 7,"
        " job 8 (paused by an operator, never ends by itself:"
        " 'ffrtmp jobs resume 8' or 'cancel 8'),"
        " job 9 (suspended, goes on when its device has room)\n"
    )
    assert [path for _, path, *_ in master.asked if "?" in path] == ["/jobs?status=paused&node=n1"]


def test_a_drain_waits_for_a_paused_job_that_takes_no_slot(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_paused(master, {8: "operator"})
    paused = NODE | {"slots_busy": 0, "running": [RUNNING[1]]}
    master.answers |= {"/nodes/east/drain": (200, paused), "/nodes/n1": (200, paused)}

    assert run(["nodes", "drain", "east", "--wait", "--timeout", "100ms"]) == 1
    assert "job 8 (paused by an operator" in capsys.readouterr().err


def test_a_drain_that_waits_too_long_is_exit_1_and_names_what_still_runs(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    answer_paused(master, {})
    node = NODE | {"running": RUNNING[:2]}
    master.answers |= {"/nodes/east/drain": (200, node), "/nodes/n1": (200, node)}

    assert run(["nodes", "drain", "east", "--wait", "--timeout", "700ms"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.splitlines() == [
        "east still runs job 7, job 8",
        "ffrtmp: east still runs job 7, job 8; it goes on draining,"
        " 'ffrtmp nodes undrain east' ends that",
    ]


@pytest.mark.parametrize(
    "flags", [["--timeout", "5s"], ["--wait", "--timeout", "soon"], ["--wait", "--timeout", ""]]
)
def test_a_timeout_that_bounds_nothing_is_exit_2_and_drains_nothing(
    master: StandInMaster, flags: list[str]
) -> None:
    assert run(["nodes", "drain", "east", *flags]) == 2

    assert master.asked == []


def test_trials_show_how_many_passed_and_why_the_others_did_not() -> None:
    works = {"device": "cpu", "encoder": "libx264", "bits": 8, "works": True, "reason": None}
    fails = {"device": "gpu0", "encoder": "av1_nvenc", "bits": 10, "works": False}

    assert trials_text([works, fails | {"reason": "No capable devices found"}, "?"]) == (
        "1 of 2 tests passed; gpu0 av1_nvenc 10 bit: No capable devices found"
    )
    assert trials_text("?") == "0 of 0 tests passed"
    decodes = {"device": "gpu0", "hardware": "qsv", "codec": "vp9", "bits": 8, "works": False}
    assert trials_text([decodes | {"reason": "unsupported"}]) == (
        "0 of 1 tests passed; gpu0 qsv:vp9 8 bit: unsupported"
    )
