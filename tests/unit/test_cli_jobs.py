"""What the job commands send and show."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from cli.exits import UsageError
from cli.jobs import since_time
from cli.main import run
from cli.submit import absolute
from tests.unit import test_cli_exits
from tests.unit.test_cli_exits import StandInMaster

master = test_cli_exits.master

JOB: dict[str, Any] = {
    "id": "0198c0de-0000-7000-8000-000000000001",
    "sequence_number": 7,
    "scenario": "720p30-h264",
    "queue": "live",
    "priority": "high",
    "engine": "auto",
    "status": "completed",
    "progress": 1.0,
    "parameters": {"input": "/media/a.mp4"},
    "node_id": "n1",
    "node_name": "east\x1b[31m\u202e",
    "attempt": 2,
    "retry_count": 1,
    "max_retries": 3,
    "retry_at": None,
    "created_at": "2026-01-02T03:04:05Z",
    "started_at": "2026-01-02T03:04:06Z",
    "completed_at": "2026-01-02T03:04:16Z",
    "error": None,
    "failure_reason": None,
    "result": {"output": "/out/a.mp4", "size_bytes": 1234},
    "trace_id": None,
}
ATTEMPT: dict[str, Any] = {
    "number": 1,
    "node_id": "n1",
    "node_name": "east",
    "state": "running",
    "outcome": None,
    "failure_class": None,
    "error": None,
    "exit_code": None,
    "argv": ["ffmpeg"],
    "started_at": "2026-01-02T03:04:05Z",
    "ended_at": None,
    "progress": 0.5,
    "phase": None,
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_flags_of_picture_and_sound_are_parameters(master: StandInMaster, folder: Path) -> None:
    master.answers["/jobs"] = (201, JOB)
    flags = ["--max-bitrate", "2M", "--fit", "inside", "--no-upscale", "--audio-tracks", "1,3"]
    flags += ["--audio-channels", "stereo", "--audio-bitrate", "96k", "--verify", "decode"]
    flags += ["--vmaf", "--psnr", "--ssim", "--min-vmaf", "93.5"]

    assert run(["jobs", "submit", "--scenario", "720p", "--container", "mkv", *flags]) == 0

    *_, body = master.asked[0]
    assert body["parameters"] == {
        "container": "mkv",
        "max_bitrate": "2M",
        "fit": "inside",
        "upscale": False,
        "audio_tracks": [1, 3],
        "audio_channels": "stereo",
        "audio_bitrate": "96k",
        "verify": "decode",
        "vmaf": True,
        "psnr": True,
        "ssim": True,
        "min_vmaf": 93.5,
    }


def test_tracks_that_are_no_numbers_are_a_wrong_use(master: StandInMaster) -> None:
    assert run(["jobs", "submit", "--scenario", "720p", "--audio-tracks", "first"]) == 2


LIMITS = ["--timeout", "2m", "--max-cpu", "250", "--max-memory", "512", "--max-disk", "9"]


def test_a_submitted_body_has_only_what_was_given(master: StandInMaster, folder: Path) -> None:
    master.answers["/jobs"] = (201, JOB)
    flags = ["--input", "clip.mp4", "--to", "out.mkv", "--crf", "20", *LIMITS]
    key = ["--idempotency-key", "k1"]

    assert run(["jobs", "submit", "--scenario", "720p", "--queue", "live", *flags, *key]) == 0
    _, path, headers, body = master.asked[0]
    assert path == "/jobs"
    assert headers["Idempotency-Key"] == "k1"
    assert body == {
        "scenario": "720p",
        "queue": "live",
        "priority": "medium",
        "parameters": {
            "input": str(folder / "clip.mp4"),
            "output": str(folder / "out.mkv"),
            "crf": 20,
            "resource_limits": {
                "timeout_sec": "2m",
                "max_cpu_percent": 250,
                "max_memory_mb": 512,
                "max_disk_mb": 9,
            },
        },
    }


def test_an_rtmp_url_asks_for_a_stream(master: StandInMaster) -> None:
    master.answers["/jobs"] = (201, JOB)
    url = "rtmp://studio/live/one"

    assert run(["jobs", "submit", "--scenario", "live-720p", "--rtmp-url", url]) == 0

    *_, body = master.asked[0]
    assert body["parameters"] == {"output_mode": "rtmp", "rtmp_url": url}


def test_waiting_for_a_job_that_failed_is_exit_1_with_its_error(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = JOB | {"status": "failed", "error": "input is gone", "result": None}
    master.answers |= {"/jobs": (201, JOB | {"status": "pending"})}
    master.answers |= {f"/jobs/{JOB['id']}": (200, failed)}

    assert run(["jobs", "submit", "--scenario", "720p", "--wait", "--output", "json"]) == 1
    out, err = capsys.readouterr()
    assert json.loads(out)["status"] == "failed"
    assert "input is gone" in err


@pytest.mark.parametrize(
    "arguments",
    [
        ["--output", "json", "jobs", "status", "7"],
        ["jobs", "--output", "json", "status", "7"],
        ["jobs", "status", "--output", "json", "7"],
        ["jobs", "status", "7", "--output=json"],
    ],
)
def test_the_output_flag_stands_before_or_after_the_command(
    master: StandInMaster, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    master.answers["/jobs/7"] = (200, JOB)

    assert run(arguments) == 0
    assert json.loads(capsys.readouterr().out)["sequence_number"] == 7


def test_a_table_has_no_control_characters_and_no_trailing_blanks(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/jobs"] = (200, {"jobs": [JOB], "count": 1, "next": "6"})

    assert run(["jobs", "list", "--limit", "1"]) == 0
    out, err = capsys.readouterr()
    header, row = out.splitlines()
    assert header.split()[:3] == ["SEQ", "SCENARIO", "QUEUE"]
    assert row.split()[:7] == ["7", "720p30-h264", "live", "high", "completed", "100%", "east"]
    assert row == row.rstrip()
    assert "--all" in err


def test_status_shows_every_fact_nested_ones_too(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/jobs/7"] = (200, JOB)

    assert run(["jobs", "status", "7"]) == 0
    facts = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert set(facts) >= set(JOB) - {"result", "parameters"}
    assert facts["result.size_bytes"] == "1234"
    assert facts["parameters.input"] == "/media/a.mp4"
    assert facts["waiting_reason"] == "-"


def test_status_shows_the_figures_of_the_quality(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    quality = {"vmaf": {"mean": 95.25, "p5": 91.125}, "ssim": {"mean": 0.987654}}
    job = JOB | {"result": {"quality": quality, "rejected_rate": {"crf": 30, "vmaf": 88.5}}}
    master.answers[f"/jobs/{JOB['id']}"] = (200, job)

    assert run(["jobs", "status", JOB["id"]]) == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["result.quality.vmaf.mean", "95.25"] in shown
    assert ["result.quality.vmaf.p5", "91.125"] in shown
    assert ["result.quality.ssim.mean", "0.988"] in shown
    assert ["result.rejected_rate.crf", "30"] in shown


def test_status_of_a_waiting_job_begins_with_why_and_how_long(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = {"rank": 4, "position": 3, "jobs_ahead": 5, "slots": 2, "slots_free": 0}
    pending = JOB | {"status": "pending", "waiting_reason": "5 jobs are ahead of it"}
    master.answers["/jobs/7"] = (
        200,
        pending | {"waiting": waiting | {"estimated_start_seconds": 3725.0}},
    )

    assert run(["jobs", "status", "7"]) == 0
    lines = [line.split(None, 1) for line in capsys.readouterr().out.splitlines()]
    assert lines[:9] == [
        ["sequence_number", "7"],
        ["status", "pending"],
        ["waiting_reason", "5 jobs are ahead of it"],
        ["waiting.rank", "4"],
        ["waiting.position", "3"],
        ["waiting.jobs_ahead", "5"],
        ["waiting.slots", "2"],
        ["waiting.slots_free", "0"],
        ["waiting.estimated_start", "in 1h 2m"],
    ]
    assert [name for name, _ in lines].count("status") == 1


def test_status_of_a_job_that_nobody_can_foretell_says_no_start(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    waiting = {"rank": 4, "position": 1, "jobs_ahead": 0, "slots": 0, "slots_free": 0}
    master.answers["/jobs/7"] = (
        200,
        JOB | {"status": "pending", "waiting": waiting | {"estimated_start_seconds": None}},
    )

    assert run(["jobs", "status", "7"]) == 0
    assert ["waiting.estimated_start", "-"] in [
        line.split() for line in capsys.readouterr().out.splitlines()
    ]


@pytest.mark.parametrize("command", ["pause", "resume"])
def test_a_pause_and_its_end_are_one_request_and_one_line(
    master: StandInMaster, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    paused = JOB | {"status": "paused", "waiting_reason": "no slot\x1b[2J on gpu0"}
    master.answers[f"/jobs/7/{command}"] = (200, paused)

    assert run(["jobs", command, "7"]) == 0
    assert [asked[:2] for asked in master.asked] == [("POST", f"/jobs/7/{command}")]
    said = capsys.readouterr().out
    assert said.startswith("job 7 paused in live/high")
    assert said.endswith("): no slot on gpu0\n")


def test_a_list_can_ask_for_paused_jobs(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    master.answers["/jobs"] = (200, {"jobs": [JOB | {"status": "paused"}], "count": 1, "next": ""})

    assert run(["jobs", "list", "--status", "paused"]) == 0
    assert "status=paused" in master.asked[0][1]
    assert capsys.readouterr().out.splitlines()[1].split()[4] == "paused"


def test_attempts_say_on_which_device_and_why_they_are_suspended(
    master: StandInMaster, capsys: pytest.CaptureFixture[str]
) -> None:
    on_cpu = ATTEMPT | {"outcome": "preempted", "state": "ended"}
    on_gpu = ATTEMPT | {"number": 2, "device": "gpu0", "hardware": "nvenc", "pause": "operator"}
    master.answers["/jobs/7/attempts"] = (200, {"attempts": [on_cpu, on_gpu]})

    assert run(["jobs", "attempts", "7"]) == 0
    header, *rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert header[:6] == ["ATTEMPT", "NODE", "DEVICE", "STATE", "PAUSE", "OUTCOME"]
    assert [row[:7] for row in rows] == [
        ["1", "east", "cpu", "ended", "-", "preempted", "-"],
        ["2", "east", "gpu0", "nvenc", "running", "operator", "-"],
    ]


@pytest.mark.parametrize(
    ("logs", "error", "shown"),
    [
        ("one\rtwo\x1b[2J\n", None, "one\ntwo\n"),
        ("", "no such\nfile", "no log: no such\nfile\n"),
        ("", None, ""),
    ],
)
def test_logs_are_shown_harmless_or_the_error_is(
    master: StandInMaster,
    capsys: pytest.CaptureFixture[str],
    logs: str,
    error: str | None,
    shown: str,
) -> None:
    found = {"job_id": "x", "sequence_number": 7, "attempt": 1, "logs": logs, "error": error}
    master.answers["/jobs/7/logs"] = (200, found)

    assert run(["jobs", "logs", "7"]) == 0
    assert capsys.readouterr().out == shown


def test_since_takes_an_age_or_a_time() -> None:
    now = datetime(2026, 1, 2, 12, tzinfo=UTC)

    assert since_time("90m", now) == "2026-01-02T10:30:00+00:00"
    assert since_time("2026-01-01", now) == "2026-01-01T00:00:00+00:00"
    with pytest.raises(UsageError):
        since_time("soon", now)


def test_local_paths_become_absolute_and_urls_stay(folder: Path) -> None:
    (folder / "a").mkdir()

    assert absolute("clip.mp4") == str(folder / "clip.mp4")
    assert absolute("a/../clip:1.mp4") == str(folder.resolve() / "clip:1.mp4")
    assert absolute("https://host/x.mp4") == "https://host/x.mp4"
    assert absolute(None) is None
