"""Real processes under a supervisor: restarts, stops, and nothing that stays behind."""

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from ffrtmp.supervisor import Part, StartFailed, Supervisor
from tests.waiting import wait_until

LOG = logging.getLogger("test")

STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
FAMILY = """
import pathlib, subprocess, sys, time
child = subprocess.Popen(["sleep", "300"])
pathlib.Path(sys.argv[1]).write_text(str(child.pid))
time.sleep(300)
"""
OUTER = """
import logging, sys, threading
from ffrtmp.supervisor import Part, Supervisor, stop_on_signals
parts = [
    Part(name=str(n), argv=[sys.executable, "-c", code, "x"], environment={}, stop_seconds=60)
    for n, code in enumerate(sys.argv[1:])
]
supervisor = Supervisor(parts, logging.getLogger("outer"))
stop = stop_on_signals(supervisor)
with supervisor:
    supervisor.start(stop)
    print(*supervisor.pids().values(), flush=True)
    supervisor.run(stop)
"""


def part(code: str, *, name: str = "part", **options: object) -> Part:
    return Part(name=name, argv=[sys.executable, "-c", code], environment={}, **options)  # type: ignore[arg-type]


def is_gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def run_until(supervisor: Supervisor, fact: Callable[[], bool]) -> None:
    """Run on this thread until the fact, which another thread watches for."""
    stop = threading.Event()

    def watch() -> None:
        try:
            wait_until(fact)
        finally:
            stop.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    supervisor.run(stop)
    watcher.join()


def test_a_killed_part_is_restarted_and_its_new_pid_announced(tmp_path: Path) -> None:
    announced: list[dict[str, int]] = []
    supervisor = Supervisor(
        [part("import time; time.sleep(300)")], LOG, on_restart=announced.append
    )
    with supervisor:
        supervisor.start(threading.Event())
        first = supervisor.pids()["part"]
        os.kill(first, signal.SIGKILL)
        run_until(supervisor, lambda: bool(announced))
        second = supervisor.pids()["part"]

        assert announced == [{"part": second}]
        assert second != first
    assert is_gone(second)


def test_parts_start_in_order_each_after_the_one_before_is_ready(tmp_path: Path) -> None:
    ready = tmp_path / "ready"
    late = f"import time; time.sleep(0.3); open({str(ready)!r}, 'w'); time.sleep(300)"
    look = (
        "import os, time\n"
        f"with open({str(tmp_path / 'saw')!r}, 'w') as saw: "
        f"saw.write(str(os.path.exists({str(ready)!r})))\n"
        "time.sleep(300)"
    )
    saw = tmp_path / "saw"
    parts = [
        part(late, name="first", ready=ready.exists),
        part(look, name="second", ready=lambda: saw.exists() and bool(saw.read_text())),
    ]
    with Supervisor(parts, LOG) as supervisor:
        supervisor.start(threading.Event())

    assert saw.read_text() == "True"


def test_a_part_that_never_starts_fails_the_start_with_its_last_words(tmp_path: Path) -> None:
    good = part("import time; time.sleep(300)", name="good")
    bad = part("raise SystemExit('the disk is full')", name="bad", ready=lambda: False)
    supervisor = Supervisor([good, bad], LOG, log_directory=tmp_path)

    with pytest.raises(StartFailed, match=r"(?s)bad ended with status 1 .*the disk is full"):
        supervisor.start(threading.Event())
    assert supervisor.pids() == {}


def test_a_part_that_refuses_its_settings_is_tried_once(tmp_path: Path) -> None:
    tries = tmp_path / "tries"
    code = f"open({str(tries)!r}, 'a').write('x'); raise SystemExit(2)"

    with pytest.raises(StartFailed, match="status 2"):
        Supervisor([part(code, ready=lambda: False)], LOG).start(threading.Event())
    assert tries.read_text() == "x"


def test_a_part_that_dies_at_once_every_time_ends_the_run() -> None:
    with Supervisor([part("raise SystemExit(3)")], LOG) as supervisor:
        supervisor.start(threading.Event())
        with pytest.raises(StartFailed, match="status 3"):
            supervisor.run(threading.Event())


def test_a_part_that_ignores_sigterm_is_killed_with_its_whole_group(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    stubborn = Part(
        name="stubborn",
        argv=[sys.executable, "-c", STUBBORN + FAMILY, str(pid_file)],
        environment=dict(os.environ),
        stop_seconds=0.3,
        ready=lambda: pid_file.exists() and bool(pid_file.read_text()),
    )
    with Supervisor([stubborn], LOG) as supervisor:
        supervisor.start(threading.Event())
        parent = supervisor.pids()["stubborn"]

    assert is_gone(parent)
    wait_until(lambda: is_gone(int(pid_file.read_text())))


def test_what_a_dead_part_left_running_is_killed_before_its_restart(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    family = Part(
        name="family",
        argv=[sys.executable, "-c", FAMILY, str(pid_file)],
        environment=dict(os.environ),
        ready=lambda: pid_file.exists() and bool(pid_file.read_text()),
    )
    restarted: list[dict[str, int]] = []
    with Supervisor([family], LOG, on_restart=restarted.append) as supervisor:
        supervisor.start(threading.Event())
        orphan = int(pid_file.read_text())
        os.kill(supervisor.pids()["family"], signal.SIGKILL)
        run_until(supervisor, lambda: bool(restarted))

        wait_until(lambda: is_gone(orphan))


def test_higher_stages_are_gone_before_lower_ones_are_asked_to_stop(tmp_path: Path) -> None:
    code = (
        "import signal, sys, time\n"
        "def end(*_):\n"
        "    open(sys.argv[1], 'a').write(sys.argv[2]); sys.exit()\n"
        "signal.signal(signal.SIGTERM, end)\n"
        "open(sys.argv[1] + sys.argv[2], 'w').close()\n"
        "time.sleep(300)"
    )
    out = tmp_path / "out"
    parts = [
        Part(
            name=name,
            argv=[sys.executable, "-c", code, str(out), name],
            environment={},
            ready=Path(f"{out}{name}").exists,
            stage=stage,
        )
        for stage, name in enumerate("abc")
    ]
    with Supervisor(parts, LOG) as supervisor:
        supervisor.start(threading.Event())

    assert out.read_text() == "cba"


def start_outer(*codes: str) -> tuple[subprocess.Popen[str], list[int]]:
    outer = subprocess.Popen(
        [sys.executable, "-c", OUTER, *codes], stdout=subprocess.PIPE, text=True
    )
    assert outer.stdout
    return outer, [int(pid) for pid in outer.stdout.readline().split()]


def test_a_supervisor_killed_outright_leaves_nothing_running() -> None:
    outer, pids = start_outer(STUBBORN + "time.sleep(300)", "import time; time.sleep(300)")
    with outer:
        outer.kill()

    assert len(pids) == 2
    wait_until(lambda: all(is_gone(pid) for pid in pids))


def test_a_second_signal_makes_the_stop_immediate(tmp_path: Path) -> None:
    up = tmp_path / "up"
    outer, pids = start_outer(STUBBORN + f"open({str(up)!r}, 'w'); time.sleep(300)")
    with outer:
        wait_until(up.exists)
        outer.send_signal(signal.SIGINT)
        with pytest.raises(subprocess.TimeoutExpired):
            outer.wait(timeout=0.5)
        outer.send_signal(signal.SIGINT)
        outer.wait(timeout=5)

    assert is_gone(pids[0])
