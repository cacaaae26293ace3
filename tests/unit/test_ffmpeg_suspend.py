"""A suspended run stands still, costs no time, and ends as any other."""

import contextlib
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.media.specs import FFMPEG
from tests.waiting import wait_until
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.process import FfmpegProcess, ProcessEnd
from workers.ffmpeg.progress import Progress
from workers.ffmpeg.started import start_identity

TEST_FRAMES = 500
# in the background: a shell is not stopped while its program in the foreground starts
SLEEP = "sleep 60 & echo ready >&2; wait"
WATCHED_SECONDS = 0.6
"""Twelve times the distance of two progress blocks of a run that moves."""


class Run:
    """A process in a thread of its own, and what it says."""

    def __init__(self, process: FfmpegProcess, pool: ThreadPoolExecutor) -> None:
        self.process = process
        self.blocks: list[Progress] = []
        self.log = BoundedLog()
        self._end: Future[ProcessEnd] = pool.submit(process.run, self.blocks.append, self.log)

    def end(self) -> ProcessEnd:
        """How it ended; waits for that."""
        return self._end.result(timeout=60)

    def group(self) -> list[psutil.Process]:
        """Every process of its group."""
        assert self.process.identity is not None
        leader = psutil.Process(self.process.identity.pid)
        return [leader, *leader.children(recursive=True)]

    def states(self) -> set[str]:
        """The states of all of them, such as ``stopped``."""
        return {process.status() for process in self.group()}

    def says(self, word: str) -> None:
        """Wait until its log has the word."""
        wait_until(lambda: word in self.log.text(), what=word)


@contextlib.contextmanager
def running(process: FfmpegProcess) -> Iterator[Run]:
    """Run it beside the test; killed at the end."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            yield Run(process, pool)
        finally:
            process.stop(0)


def shell(script: str, *, timeout_seconds: float | None = None) -> FfmpegProcess:
    """A process that runs a shell script."""
    return FfmpegProcess(
        ["/bin/sh", "-c", script], timeout_seconds=timeout_seconds, grace_seconds=0.2
    )


def stay_suspended(run: Run, *, seconds: float) -> None:
    """Fail unless its whole group is suspended for that long."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        assert run.states() == {psutil.STATUS_STOPPED}


def encode() -> FfmpegProcess:
    """An encode of seconds of processor time that tells its progress often."""
    argv = [str(FFMPEG), "-nostdin", "-loglevel", "error", "-nostats", "-progress", "pipe:1"]
    argv += ["-stats_period", "0.05", "-f", "lavfi", "-i", "testsrc2=size=640x480:rate=30"]
    argv += ["-frames:v", str(TEST_FRAMES), "-c:v", "libx264", "-preset", "fast"]
    argv += ["-threads", "1", "-f", "null", "-"]
    return FfmpegProcess(argv)


def test_suspended_encode_stands_still_and_ends_properly_when_resumed() -> None:
    with running(encode()) as run:
        wait_until(lambda: len(run.blocks) > 2)
        run.process.suspend()
        wait_until(lambda: run.states() == {psutil.STATUS_STOPPED})
        stay_suspended(run, seconds=0.2)  # what it said before may still be on its way
        before, spent = len(run.blocks), run.group()[0].cpu_times()
        stay_suspended(run, seconds=WATCHED_SECONDS)

        assert len(run.blocks) == before
        assert run.group()[0].cpu_times() == spent
        run.process.resume()
        end = run.end()

    assert end == ProcessEnd(exit_code=0, signal=None, timed_out=False, stopped=False)
    assert (run.blocks[-1].frame, run.blocks[-1].is_end) == (TEST_FRAMES, True)
    assert WATCHED_SECONDS <= run.process.suspended_seconds < 30


def test_every_process_of_the_group_is_suspended_and_resumed() -> None:
    script = "sleep 60 & (sleep 60; :) & echo ready >&2; wait"
    with running(shell(script)) as run:
        run.says("ready")
        wait_until(lambda: len(run.group()) == 4)
        run.process.suspend()
        wait_until(lambda: run.states() == {psutil.STATUS_STOPPED})
        run.process.resume()

        wait_until(lambda: psutil.STATUS_STOPPED not in run.states())


def test_suspending_and_resuming_twice_is_as_good_as_once() -> None:
    with running(shell(SLEEP)) as run:
        run.says("ready")
        for _ in range(2):
            run.process.suspend()
        wait_until(lambda: run.states() == {psutil.STATUS_STOPPED})
        for _ in range(2):
            run.process.resume()
        wait_until(lambda: psutil.STATUS_STOPPED not in run.states())
        seconds = run.process.suspended_seconds

        assert 0 < seconds == run.process.suspended_seconds


def test_suspended_time_is_no_time_of_the_time_out() -> None:
    script = "sleep 0.5 & echo ready >&2; wait; exit 3"
    with running(shell(script, timeout_seconds=2)) as run:
        run.says("ready")
        run.process.suspend()
        wait_until(lambda: run.process.suspended_seconds > 2.5)
        run.process.resume()

        assert run.end() == ProcessEnd(exit_code=3, signal=None, timed_out=False, stopped=False)


def test_time_out_still_comes_after_a_suspension() -> None:
    with running(shell(SLEEP, timeout_seconds=1)) as run:
        run.says("ready")
        run.process.suspend()
        wait_until(lambda: run.process.suspended_seconds > 1.2)
        assert run.states() == {psutil.STATUS_STOPPED}
        run.process.resume()

        assert run.end().timed_out


def test_stop_of_a_suspended_run_lets_it_end_by_itself() -> None:
    script = "trap 'exit 7' TERM; echo ready >&2; while :; do sleep 0.01; done"
    with running(shell(script)) as run:
        run.says("ready")
        run.process.suspend()
        wait_until(lambda: psutil.STATUS_STOPPED in run.states())
        started = time.monotonic()
        run.process.stop(30)

        assert run.end() == ProcessEnd(exit_code=7, signal=None, timed_out=False, stopped=True)
        assert time.monotonic() - started < 2


@pytest.mark.parametrize("grace_seconds", [0.0, 0.2])
def test_stop_of_a_suspended_run_that_does_not_listen_kills_it(grace_seconds: float) -> None:
    with running(shell("trap '' TERM; echo ready >&2; while :; do sleep 0.01; done")) as run:
        run.says("ready")
        run.process.suspend()
        started = time.monotonic()
        run.process.stop(grace_seconds)

        assert run.end().signal == 9
        assert time.monotonic() - started < 2


def test_run_that_was_told_to_end_is_not_suspended_any_more() -> None:
    script = "trap 'echo heard >&2; sleep 0.3; exit 7' TERM; echo ready >&2; while :; do :; done"
    with running(shell(script)) as run:
        run.says("ready")
        run.process.stop(30)
        run.says("heard")
        run.process.suspend()

        assert run.end().exit_code == 7


def test_nothing_is_suspended_before_the_start_or_after_the_end() -> None:
    process = shell("exit 0")
    process.suspend()
    process.resume()

    assert process.run(lambda _: None, BoundedLog()).exit_code == 0
    process.suspend()
    process.resume()
    assert process.suspended_seconds == 0


def test_suspended_process_killed_from_outside_ends_its_suspension() -> None:
    with running(shell(SLEEP)) as run:
        run.says("ready")
        run.process.suspend()
        run.group()[0].kill()

        assert run.end().signal == 9
        assert run.process.suspended_seconds == run.process.suspended_seconds


def test_leashed_process_is_never_suspended() -> None:
    process = FfmpegProcess(["/bin/true"], leash_until=time.clock_gettime(time.CLOCK_BOOTTIME) + 9)

    with pytest.raises(RuntimeError, match="leash"):
        process.suspend()


def test_suspended_process_dies_with_a_killed_agent(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    program = (
        "import pathlib\n"
        "from workers.ffmpeg.log import BoundedLog\n"
        "from workers.ffmpeg.process import FfmpegProcess\n"
        "process = FfmpegProcess(['/bin/sleep', '60'])\n"
        "identity = process.start()\n"
        "process.suspend()\n"
        f"pathlib.Path({str(file)!r}).write_text(f'{{identity.pid}}\\n')\n"
        "process.run(lambda progress: None, BoundedLog())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as agent:
        pid = int(wait_until(lambda: file.read_text().strip() if file.exists() else None))
        wait_until(lambda: psutil.Process(pid).status() == psutil.STATUS_STOPPED)
        agent.kill()
        agent.wait()

    wait_until(lambda: start_identity(pid) is None, seconds=5)
