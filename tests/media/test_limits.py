"""Limits of attempts on a real ffmpeg, by cgroups where this host has them and without."""

import contextlib
import signal
import threading
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest

from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import NO_LIMITS, Limits
from ffrtmp.schemas import ClaimAnswer, ResultRequest
from tests.chaos.wrapped import wrapped_ffmpeg
from tests.media.specs import BUNNY, FFMPEG
from tests.media.test_paused_attempts import process_of
from tests.unit import agent_parts
from tests.unit.agent_parts import Node
from tests.unit.test_agent_files import claim_of
from tests.waiting import wait_until
from workers.clock import boot_seconds
from workers.errors import AttemptFailed
from workers.ffmpeg.child import Confinement
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.process import FfmpegProcess
from workers.ledger import Held, StopReason
from workers.limits import disk
from workers.limits.attempt import Enforced, Limiter
from workers.limits.group import memory_settings, processes_of
from workers.limits.hierarchy import Controller
from workers.limits.means import NO_GROUPS, Means, find_means, name_for
from workers.reading import Reading
from workers.running import Encode, Running

node = agent_parts.node
LONG_SECONDS = 3600
LARGE = "1080p30-h264"
GROUPS, NONE = "cgroups", "none"


def host_has_groups() -> bool:
    means = find_means(f"ffrtmp-look-{threading.get_native_id()}")
    means.clear()
    return set(means.homes) == set(Controller)


MEANS = [GROUPS, NONE] if host_has_groups() else [NONE]
"""A host that hands no cgroup to its users proves the rest."""


@pytest.fixture(params=MEANS)
def means(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Means]:
    found = find_means(name_for(tmp_path)) if request.param == GROUPS else NO_GROUPS
    yield found
    assert found.clear() == 0


def limited(limits: dict[str, int], **parameters: Any) -> ClaimAnswer:
    return claim_of(preset="ultrafast", resource_limits=limits, **parameters)


def run(
    node: Node,
    means: Means,
    claim: ClaimAnswer,
    *,
    ceilings: Limits = NO_LIMITS,
    ffmpeg: Path = FFMPEG,
) -> ResultRequest:
    """How an attempt of this claim ends; nothing is left of its groups."""
    held = Held(job_id=claim.job_id, number=claim.attempt, lease=claim.lease)
    node.ledger.admit(held)
    node.runner(ffmpeg, means=means, ceilings=ceilings).run(claim, held)
    assert [group for home in means.homes.values() for group in home.groups()] == []
    body: ResultRequest
    (body,) = node.master.said("report")
    return body


@contextlib.contextmanager
def running(node: Node, means: Means, claim: ClaimAnswer) -> Iterator[psutil.Process]:
    """The ffmpeg of a long attempt, which ends with the block."""
    held = Held(job_id=claim.job_id, number=claim.attempt, lease=claim.lease)
    node.ledger.admit(held)
    runner = node.runner(FFMPEG, means=means)
    thread = threading.Thread(target=runner.run, args=(claim, held))
    thread.start()
    try:
        yield wait_until(lambda: process_of(node), what="ffmpeg")
    finally:
        held.stop(StopReason.GONE)
        thread.join()


def times_held_back(means: Means) -> int:
    (attempt,) = means.homes[Controller.CPU].groups()
    said = dict(line.split() for line in (attempt.folder / "cpu.stat").read_text().splitlines())
    return int(said["nr_throttled"])


def cpu_seconds(process: psutil.Process) -> float:
    spent = process.cpu_times()
    return spent.user + spent.system


def test_encode_that_needs_more_memory_than_asked_fails_for_good(node: Node, means: Means) -> None:
    body = run(node, means, limited({"max_memory_mb": 64}, scenario=LARGE, duration=60))

    assert (body.status, body.failure_reason) == ("failed", FailureClass.LIMIT_EXCEEDED)
    assert body.error == "needed more than the 64 MB of memory it may have (max_memory_mb)"
    assert body.metrics["limits"] == {"memory": means.named()["memory"]}
    assert list((node.folder / "output").iterdir()) == []


def test_encode_inside_all_its_limits_completes_and_says_what_kept_them(
    node: Node, means: Means
) -> None:
    limits = {"max_memory_mb": 1024, "max_cpu_percent": 400, "max_disk_mb": 50}
    body = run(node, means, limited(limits, duration=0.5))

    assert (body.status, body.error) == ("completed", None)
    assert body.metrics["limits"] == {
        name: by for name, by in means.named().items() if name != "pids"
    }


def test_limits_that_nobody_asked_for_are_not_spoken_of(node: Node, means: Means) -> None:
    assert "limits" not in run(node, means, limited({}, duration=0.2)).metrics


def test_encode_that_writes_more_than_asked_fails_for_good(node: Node, means: Means) -> None:
    claim = limited({"max_disk_mb": 1}, duration=60, scenario=LARGE, crf=1)
    body = run(node, means, claim)

    assert (body.status, body.failure_reason) == ("failed", FailureClass.LIMIT_EXCEEDED)
    assert body.error == "wrote more than the 1 MB it may (max_disk_mb)"
    assert body.metrics["limits"] == {"disk": "rlimit and watch"}
    assert list((node.folder / "output").iterdir()) == []


def test_ceiling_of_the_node_ends_an_encode_that_asked_for_no_limit(node: Node) -> None:
    claim = limited({}, duration=60)
    body = run(node, NO_GROUPS, claim, ceilings=Limits(timeout_seconds=0.5, max_disk_mb=500))

    assert (body.status, body.failure_reason) == ("failed", FailureClass.LIMIT_EXCEEDED)
    assert body.error == "the encode took longer than the 0.5 s it may"
    assert body.metrics["limits"] == {"disk": "rlimit and watch"}


def test_encode_ends_before_its_disk_is_full(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk, "RESERVE_BYTES", 1 << 60)
    body = run(node, NO_GROUPS, limited({}, duration=60))

    assert (body.status, body.failure_reason) == ("failed", FailureClass.NO_SPACE)
    assert "MiB are not for outputs" in (body.error or "")
    assert list((node.folder / "output").iterdir()) == []


def test_output_that_would_not_fit_on_its_disk_is_not_begun(node: Node) -> None:
    body = run(node, NO_GROUPS, limited({}, duration=864_000, bitrate="400M"))

    assert (body.status, body.failure_reason) == ("failed", FailureClass.NO_SPACE)
    assert (body.error or "").startswith("the output is going to have 41198730 MiB")
    assert body.argv == []


def test_probe_is_held_by_the_limits_of_its_attempt(tmp_path: Path) -> None:
    means = find_means(name_for(tmp_path))
    if Controller.MEMORY not in means.homes:
        pytest.skip("this host hands no cgroup to its users")
    group = means.homes[Controller.MEMORY].group("job-1")
    group.make(*memory_settings(group.version, 4 << 20))
    limits = Enforced(
        asked=Limits(max_memory_mb=4),
        confinement=Confinement(groups=(group.folder,)),
        memory=group,
    )
    held = Held(job_id="job-1", number=1, lease="lease")
    reading = Reading(location=str(BUNNY), environment={})
    running = Running(
        held, Encode(log=BoundedLog()), lambda _: None, reading, scratch=tmp_path, limits=limits
    )

    with pytest.raises(AttemptFailed, match="max_memory_mb") as failed:
        running.source_facts()

    means.clear()
    assert failed.value.failure_class is FailureClass.LIMIT_EXCEEDED


def test_stream_is_held_together_with_the_process_that_ends_it(tmp_path: Path) -> None:
    means = find_means(name_for(tmp_path))
    if not means.homes:
        pytest.skip("this host hands no cgroup to its users")
    limits = Limiter(means, cores=[0]).around(
        "job-1", Limits(max_cpu_percent=100, max_memory_mb=64), output=None, scratch=tmp_path
    )
    with limits as held:
        process = FfmpegProcess(["/bin/sleep", "3600"], leash_until=boot_seconds() + 3600)
        process.confine(held.confinement)
        process.start()
        try:
            for group in held.confinement.groups:
                wait_until(partial(holds_two, group), what=f"the leash and its child in {group}")
        finally:
            process.close()


def holds_two(group: Path) -> bool:
    return len(processes_of(group)) == 2


def test_what_an_attempt_started_ends_with_it_in_whatever_session(
    node: Node, tmp_path: Path
) -> None:
    means = find_means(name_for(tmp_path))
    if not means.homes:
        pytest.skip("this host hands no cgroup to its users")
    kept = tmp_path / "pid"
    escape = f"setsid sleep 3600 </dev/null >/dev/null 2>&1 & echo $! > {kept}"
    ffmpeg = wrapped_ffmpeg(tmp_path / "ffmpeg", escape, only="-progress")

    body = run(node, means, limited({"max_cpu_percent": 400}, duration=0.2), ffmpeg=ffmpeg)

    means.clear()
    assert body.status == "completed"
    wait_until(lambda: not psutil.pid_exists(int(kept.read_text())), what="init to reap it")


def test_encode_gets_no_more_of_the_cores_than_asked(node: Node, means: Means) -> None:
    """So little that it wants more also where many others want it."""
    claim = limited({"max_cpu_percent": 5}, duration=LONG_SECONDS, scenario=LARGE)
    with running(node, means, claim) as process:
        if Controller.CPU in means.homes:
            wait_until(lambda: times_held_back(means) > 1, what="the kernel to hold it back")
            seen_at, before = time.monotonic(), cpu_seconds(process)
            wait_until(lambda: cpu_seconds(process) > before + 0.05)
            assert (cpu_seconds(process) - before) / (time.monotonic() - seen_at) < 0.3
        else:
            assert len(process.cpu_affinity() or ()) == 1
            assert process.nice() == 10


def test_paused_encode_stands_still_under_limits_and_goes_on(node: Node, means: Means) -> None:
    claim = limited({"max_cpu_percent": 50, "max_memory_mb": 1024}, duration=LONG_SECONDS)
    with running(node, means, claim) as process:
        (held,) = node.ledger.attempts()
        held.suspension.pause()
        wait_until(lambda: process.status() == psutil.STATUS_STOPPED)
        before = cpu_seconds(process)
        held.suspension.go_on()

        wait_until(lambda: cpu_seconds(process) > before)


def test_what_an_agent_left_in_its_groups_is_killed_by_its_next_process(tmp_path: Path) -> None:
    means = find_means(name_for(tmp_path))
    if not means.homes:
        pytest.skip("this host hands no cgroup to its users")
    limiter = Limiter(means, cores=[0])
    left = limiter.around("job-1", Limits(max_memory_mb=64), output=None, scratch=tmp_path)
    confinement = left.__enter__().confinement
    sleeper = FfmpegProcess(["/bin/sleep", "3600"])
    sleeper.confine(confinement)
    sleeper.start()

    again = find_means(name_for(tmp_path))
    cleared = again.clear()

    assert sleeper.run(lambda _: None, BoundedLog()).signal == signal.SIGKILL
    assert cleared >= 1
    assert not any(group.exists() for group in confinement.groups)
    again.clear()
