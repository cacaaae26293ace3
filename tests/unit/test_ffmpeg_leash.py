"""A leashed process ends when its time is over, and not before."""

import signal
import sys
import threading

import psutil
import pytest

from tests.waiting import wait_until
from workers.clock import boot_seconds
from workers.ffmpeg.leash import EXIT_EXPIRED
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.process import FfmpegProcess, ProcessEnd


def leashed(program: str, *, seconds: float) -> FfmpegProcess:
    """A Python program that may run for so long."""
    argv = [sys.executable, "-I", "-S", "-c", program]
    return FfmpegProcess(argv, leash_until=boot_seconds() + seconds)


def run(process: FfmpegProcess, log: BoundedLog | None = None) -> ProcessEnd:
    return process.run(lambda _: None, log or BoundedLog())


def test_process_is_killed_when_its_time_is_over_and_says_why() -> None:
    log = BoundedLog()
    end = run(leashed("import time; time.sleep(60)", seconds=0.3), log)

    assert (end.exit_code, end.signal) == (EXIT_EXPIRED, None)
    assert "could not be renewed" in log.text()


def test_extended_process_lives_on_and_an_earlier_time_shortens_nothing() -> None:
    process = leashed("import time; time.sleep(1)", seconds=0.4)
    process.start()
    process.extend(boot_seconds() + 60)
    process.extend(boot_seconds())

    assert run(process).exit_code == 0


@pytest.mark.parametrize("code", [0, 1, 254])
def test_exit_code_is_the_programs_own(code: int) -> None:
    assert run(leashed(f"import sys; sys.exit({code})", seconds=60)).exit_code == code


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV])
def test_signal_is_the_programs_own(number: signal.Signals) -> None:
    end = run(leashed(f"import os; os.kill(os.getpid(), {int(number)})", seconds=60))

    assert end.signal == number


def test_stop_reaches_the_program_and_its_own_end_counts() -> None:
    process = leashed(
        "import signal, sys, time\n"
        "signal.signal(signal.SIGTERM, lambda *_: sys.exit(7))\n"
        "print('progress=continue', flush=True)\n"
        "time.sleep(60)",
        seconds=60,
    )
    threading.Timer(0.5, process.stop, args=(5.0,)).start()

    end = run(process)

    assert (end.exit_code, end.stopped) == (7, True)


def test_program_dies_with_its_leash() -> None:
    process = leashed("import time; time.sleep(60)", seconds=60)
    identity = process.start()
    assert identity is not None
    children = wait_until(lambda: psutil.Process(identity.pid).children())

    psutil.Process(identity.pid).kill()
    run(process)

    psutil.wait_procs(children, timeout=5)
    assert not any(child.is_running() for child in children)
