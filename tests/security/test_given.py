"""Whoever writes to the database says what the master gives to nodes: these judge it once more."""

import json
import sqlite3
from typing import Any

import pytest

from ffrtmp.domain.job import JobStatus
from tests.integration.agents import job_with
from tests.security.target import Target

STREAM = {"output_mode": "rtmp", "rtmp_url": "rtmp://127.0.0.1:9/app/name"}
FOLDER = {"output_mode": "hls"}


def rewrite(target: Target, job_id: str, **changes: Any) -> None:
    """Change a pending job's spec behind the master's back; ``name`` is that of its renditions."""
    name = changes.pop("name", None)
    with sqlite3.connect(target.master.settings.data_dir / "ffrtmp.db", timeout=30) as database:
        found = database.execute("SELECT spec FROM jobs WHERE id = ?", (job_id,)).fetchone()
        spec = json.loads(found[0]) | changes
        if name is not None:
            spec["renditions"] = [one | {"name": name} for one in spec["renditions"]]
        database.execute("UPDATE jobs SET spec = ? WHERE id = ?", (json.dumps(spec), job_id))
    database.close()


@pytest.mark.parametrize(
    ("asked", "changes", "failure"),
    [
        (STREAM, {"rtmp_url": "{folder}/evil"}, "output_refused"),
        (STREAM, {"rtmp_url": "file:{folder}/evil"}, "output_refused"),
        ({}, {"output": "../evil/evil.mp4"}, "output_refused"),
        ({}, {"output": "{folder}/evil/evil.mp4"}, "output_refused"),
        ({}, {"input": "concat:{folder}/secret.mp4"}, "input_refused"),
        (FOLDER, {"name": "../../../evil"}, "output_refused"),
    ],
)
def test_job_that_no_master_would_accept_fails_for_good_on_its_node(
    target: Target, asked: dict[str, Any], changes: dict[str, str], failure: str
) -> None:
    folder = target.media.parent
    with target.idle():
        job = target.attack(str(target.film), **asked)
        placed = {name: value.format(folder=folder) for name, value in changes.items()}
        rewrite(target, job.id, **placed)
    ended = target.ended(job)

    assert (ended.failure_reason, ended.attempt) == (failure, 1)
    assert list(folder.rglob("evil*")) == []


def test_job_that_was_not_rewritten_is_done(target: Target) -> None:
    with target.idle():
        job = target.attack(str(target.film))
        rewrite(target, job.id)

    assert job_with(target.master, job, JobStatus.COMPLETED)
