"""Processes start clean, are heard without blocking, and leave nothing behind."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import psutil
import pytest

from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.process import FfmpegProcess, ProcessEnd
from workers.ffmpeg.progress import Progress
from workers.ffmpeg.started import ProcessIdentity, kill_leftover, start_identity


def shell(script: str, *, timeout_seconds: float | None = None) -> FfmpegProcess:
    """A process that runs a shell script."""
    return FfmpegProcess(
        ["/bin/sh", "-c", script], timeout_seconds=timeout_seconds, grace_seconds=0.2
    )


def python(program: str) -> FfmpegProcess:
    """A process that runs a Python program."""
    return FfmpegProcess([sys.executable, "-I", "-S", "-c", program])


def ignore(_: Progress) -> None:
    """Take progress for nothing."""


def wait_until_gone(pid: int) -> None:
    """Fail unless the process ends within 5 s; a zombie has ended."""
    deadline = time.monotonic() + 5
    while start_identity(pid) is not None:
        assert time.monotonic() < deadline, f"{pid} still runs"
        time.sleep(0.01)


def wait_for_text(path: Path) -> str:
    """What somebody writes into the file within 5 s."""
    deadline = time.monotonic() + 5
    while not (path.exists() and path.read_text().endswith("\n")):
        assert time.monotonic() < deadline, f"{path} was not written"
        time.sleep(0.01)
    return path.read_text()


@pytest.mark.parametrize("code", [0, 1, 254])
def test_exit_code_is_the_processs_own(code: int) -> None:
    end = shell(f"exit {code}").run(ignore, BoundedLog())

    assert end == ProcessEnd(exit_code=code, signal=None, timed_out=False, stopped=False)


def test_death_by_a_signal_is_told_as_the_signal() -> None:
    end = shell("kill -SEGV $$").run(ignore, BoundedLog())

    assert end == ProcessEnd(exit_code=None, signal=11, timed_out=False, stopped=False)


def test_log_and_progress_arrive_from_their_own_pipes() -> None:
    log = BoundedLog()
    heard: list[Progress] = []
    script = "echo one >&2; printf 'frame=7\\nprogress=end\\n'; printf 'zwei ä' >&2"

    shell(script).run(heard.append, log)

    assert log.text() == "one\nzwei ä"
    assert [(progress.frame, progress.is_end) for progress in heard] == [(7, True)]


def test_nothing_of_the_agents_environment_or_files_is_inherited(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FFMPEG_RTMP_API_KEY", "secret")
    monkeypatch.setenv("LD_PRELOAD", "")
    monkeypatch.setenv("FFREPORT", "file=/tmp/x")
    log = BoundedLog()
    program = (
        "import os, json, sys, resource\n"
        "files = sorted(int(fd) for fd in os.listdir('/proc/self/fd'))\n"
        "ids = [os.getpid(), os.getsid(0), os.getpgid(0)]\n"
        "core = resource.getrlimit(resource.RLIMIT_CORE)\n"
        "stdin = os.readlink('/proc/self/fd/0')\n"
        "json.dump([sorted(os.environ), files, ids, core, stdin], sys.stderr)\n"
    )
    with (tmp_path / "open").open("w") as file:
        os.set_inheritable(file.fileno(), True)
        python(program).run(ignore, log)

    names, files, ids, core, stdin = json.loads(log.text())
    assert names == ["CUDA_DEVICE_ORDER", "LC_ALL", "SVT_LOG"]
    assert files == [0, 1, 2, 3]  # 3 reads the folder
    assert len(set(ids)) == 1
    assert core == [0, 0]
    assert stdin == "/dev/null"


def test_floods_and_endless_lines_neither_block_nor_grow() -> None:
    log = BoundedLog()
    program = (
        "import os\n"
        "for _ in range(300):\n"
        "    os.write(2, b'x' * 65536)\n"
        "    os.write(1, b'y' * 65536)\n"
        "os.write(1, b'\\nframe=9\\nprogress=end\\n')\n"
    )
    heard: list[Progress] = []

    end = python(program).run(heard.append, log)

    assert end.exit_code == 0
    assert [progress.frame for progress in heard] == [9]
    assert len(log.text()) < (1 << 20) + 64


def test_slow_listener_delays_neither_the_process_nor_a_stop(tmp_path: Path) -> None:
    flag = tmp_path / "done"
    script = f"for i in 1 2 3; do printf 'frame=%s\\nprogress=continue\\n' $i; done; echo > {flag}"
    heard: list[int | None] = []

    def slow(progress: Progress) -> None:
        heard.append(progress.frame)
        wait_for_text(flag)

    shell(script).run(slow, BoundedLog())

    assert heard[-1] == 3


def test_stop_asks_first_and_the_process_may_end_by_itself() -> None:
    process = shell("trap 'exit 7' TERM; echo ready >&2; while :; do sleep 0.01; done")
    end = _stopped_when_ready(process, grace_seconds=5)

    assert end == ProcessEnd(exit_code=7, signal=None, timed_out=False, stopped=True)


def test_stop_kills_what_does_not_listen_after_the_grace() -> None:
    process = shell("trap '' TERM; echo ready >&2; while :; do sleep 0.01; done")
    started = time.monotonic()
    end = _stopped_when_ready(process, grace_seconds=0.2)

    assert (end.signal, end.stopped) == (signal.SIGKILL, True)
    assert time.monotonic() - started < 2


def test_stop_reaches_a_process_that_is_suspended() -> None:
    end = _stopped_when_ready(shell("echo ready >&2; kill -STOP $$"), grace_seconds=0.1)

    assert end.signal == signal.SIGKILL


def test_stop_before_the_start_prevents_it(tmp_path: Path) -> None:
    process = shell(f"echo > {tmp_path / 'ran'}")
    process.stop(1)

    end = process.run(ignore, BoundedLog())

    assert end == ProcessEnd(exit_code=None, signal=None, timed_out=False, stopped=True)
    assert not (tmp_path / "ran").exists()


def test_stop_after_the_end_changes_nothing() -> None:
    process = shell("exit 0")
    process.run(ignore, BoundedLog())

    process.stop(0)


def test_time_out_ends_the_run_and_says_so() -> None:
    started = time.monotonic()
    end = shell("trap '' TERM; while :; do sleep 0.01; done", timeout_seconds=0.2).run(
        ignore, BoundedLog()
    )

    assert (end.signal, end.timed_out, end.stopped) == (signal.SIGKILL, True, False)
    assert time.monotonic() - started < 3


def test_grandchildren_are_gone_when_the_run_is_over(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    script = f"(trap '' TERM HUP; sleep 60) & echo $! > {file}; exit 0"

    end = shell(script).run(ignore, BoundedLog())

    assert end.exit_code == 0
    wait_until_gone(int(file.read_text()))


def test_grandchildren_are_gone_though_the_listener_still_works(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    script = f"(trap '' TERM HUP; sleep 60) & echo $! > {file}; printf 'frame=1\\nprogress=end\\n'"

    def slow(_: Progress) -> None:
        wait_until_gone(int(wait_for_text(file)))

    assert shell(script).run(slow, BoundedLog()).exit_code == 0


def test_error_of_the_listener_ends_the_process() -> None:
    process = shell("printf 'frame=1\\nprogress=continue\\n'; sleep 60")

    def fail(_: Progress) -> None:
        raise LookupError("from the listener")

    with pytest.raises(LookupError):
        process.run(fail, BoundedLog())

    assert process.identity is not None
    assert not psutil.pid_exists(process.identity.pid)


def test_started_process_that_is_never_run_can_be_closed() -> None:
    process = shell("sleep 60")
    identity = process.start()
    assert identity is not None

    process.close()

    assert not psutil.pid_exists(identity.pid)


def test_program_that_is_not_there_is_an_os_error() -> None:
    with pytest.raises(FileNotFoundError):
        FfmpegProcess(["/no/such/ffmpeg"]).run(ignore, BoundedLog())


def test_ffmpeg_dies_with_a_killed_agent(tmp_path: Path) -> None:
    file = tmp_path / "pid"
    program = (
        "import sys\n"
        "from workers.ffmpeg.log import BoundedLog\n"
        "from workers.ffmpeg.process import FfmpegProcess\n"
        "from pathlib import Path\n"
        "process = FfmpegProcess(['/bin/sleep', '60'])\n"
        "identity = process.start()\n"
        f"Path({str(file)!r}).write_text(f'{{identity.pid}}\\n')\n"
        "process.run(lambda progress: None, BoundedLog())\n"
    )
    with subprocess.Popen([sys.executable, "-c", program]) as agent:
        pid = int(wait_for_text(file))
        agent.kill()
        agent.wait()

    wait_until_gone(pid)


def test_leftover_of_a_dead_agent_is_killed_only_if_it_is_the_same_process() -> None:
    with subprocess.Popen(["/bin/sleep", "60"], start_new_session=True) as sleeper:
        identity = start_identity(sleeper.pid)
        assert identity is not None

        assert not kill_leftover(sleeper.pid, identity + "0")
        assert not kill_leftover(sleeper.pid, "")
        assert sleeper.poll() is None
        assert kill_leftover(sleeper.pid, identity)
        assert sleeper.wait() == -signal.SIGKILL
    assert not kill_leftover(sleeper.pid, identity)


def test_leftover_that_leads_no_group_is_left_alone() -> None:
    with subprocess.Popen(["/bin/sleep", "60"]) as sleeper:
        identity = start_identity(sleeper.pid)
        assert identity is not None

        assert not kill_leftover(sleeper.pid, identity)
        sleeper.kill()


def test_identity_is_the_running_process() -> None:
    process = shell("sleep 60")
    identity = process.start()
    assert isinstance(identity, ProcessIdentity)

    assert start_identity(identity.pid) == identity.start_identity
    process.close()
    assert start_identity(identity.pid) is None


def _stopped_when_ready(process: FfmpegProcess, *, grace_seconds: float) -> ProcessEnd:
    """Run, and stop from another thread once the process has said ``ready``."""
    log = BoundedLog()

    def stop() -> None:
        deadline = time.monotonic() + 5
        while "ready" not in log.text() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.stop(grace_seconds)

    thread = threading.Thread(target=stop)
    thread.start()
    end = process.run(ignore, log)
    thread.join()
    return end
