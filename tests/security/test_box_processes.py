"""Processes in the box begin, stand still and end as they do without it."""

import os
import signal
import threading
from pathlib import Path

import psutil
import pytest

from ffrtmp.domain.spec import NO_LIMITS
from tests.media.specs import FFMPEG
from tests.security import boxes
from tests.security.boxes import BASH, ran
from tests.waiting import wait_until
from workers.box.box import Box
from workers.box.view import Places
from workers.clock import boot_seconds
from workers.ffmpeg.child import UNCONFINED
from workers.ffmpeg.leash import EXIT_EXPIRED
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.process import FfmpegProcess
from workers.limits.attempt import Limiter
from workers.limits.hierarchy import Controller
from workers.limits.means import find_means

closed, box, places = boxes.closed, boxes.box, boxes.places


@pytest.mark.parametrize(
    ("script", "signal_", "exit_code"),
    [
        ("exit 7", None, 7),
        ("exit 145", None, 145),
        ("kill -KILL $$", signal.SIGKILL, None),
        ("kill -SEGV $$", signal.SIGSEGV, None),
    ],
)
def test_end_of_a_process_is_told_as_it_was(
    box: Box, script: str, signal_: signal.Signals | None, exit_code: int | None
) -> None:
    with box.empty() as view:
        end, _ = ran(view, script)

    assert (end.signal, end.exit_code) == (signal_, exit_code)


def test_ffmpeg_that_is_told_to_end_finishes_its_file(box: Box) -> None:
    endless = ("-re", "-f", "lavfi", "-i", "testsrc2=size=64x64", "-f", "null", "-")
    with box.empty() as view:
        argv = (str(FFMPEG), "-nostdin", "-progress", "pipe:1", "-loglevel", "info", *endless)
        process = FfmpegProcess(argv, timeout_seconds=20)
        process.confine(UNCONFINED, view)
        log = BoundedLog()
        end = process.run(lambda _: process.stop(10), log)

    assert (end.exit_code, end.stopped) == (255, True)
    assert "Exiting normally, received signal 15" in log.text()


def test_suspended_process_stands_still_and_goes_on(closed: Box, places: Places) -> None:
    assert places.scratch is not None
    count = places.scratch / "count"
    with closed.around(places, has_network=False) as view:
        process = FfmpegProcess(
            (BASH, "-c", 'for n in {1..200}; do echo x >> "$1"; sleep 0.02; done', "it", str(count))
        )
        process.confine(UNCONFINED, view)
        process.start()
        thread = threading.Thread(target=process.run, args=(lambda _: None, BoundedLog()))
        try:
            wait_until(lambda: count.exists() and count.stat().st_size > 4)
            process.suspend()
            tree = [psutil.Process(process.identity.pid)] if process.identity else []
            tree += tree[0].children(recursive=True)
            wait_until(lambda: all(one.status() == psutil.STATUS_STOPPED for one in tree))
            stood = count.stat().st_size
            process.resume()
            wait_until(lambda: count.stat().st_size > stood)
        finally:
            thread.start()
            process.stop(0)
            thread.join()


def sleepers(process: psutil.Process) -> list[psutil.Process]:
    return [one for one in process.children(recursive=True) if one.name() == "sleep"]


def test_whoever_minds_the_box_takes_all_with_it_that_runs_there(closed: Box) -> None:
    with closed.empty() as view:
        process = FfmpegProcess((BASH, "-c", "setsid sleep 600 & sleep 600"))
        process.confine(UNCONFINED, view)
        started = process.start()
        assert started is not None
        minder = psutil.Process(started.pid)
        inside = wait_until(lambda: sleepers(minder) if len(sleepers(minder)) == 2 else None)
        minder.kill()
        wait_until(lambda: not any(one.is_running() for one in inside))
        process.close()


def test_stream_in_the_box_ends_when_its_lease_does(box: Box) -> None:
    with box.empty() as view:
        process = FfmpegProcess(
            (BASH, "-c", "sleep 600"), leash_until=boot_seconds() + 0.5, timeout_seconds=20
        )
        process.confine(UNCONFINED, view)
        end = process.run(lambda _: None, BoundedLog())

    assert end.exit_code == EXIT_EXPIRED


def test_fork_bomb_stays_below_its_limit_and_is_gone_at_the_end(
    closed: Box, tmp_path: Path
) -> None:
    means = find_means(f"ffrtmp-bomb-{os.getpid()}")
    limiter = Limiter(means, cores=[0], uid=closed.uid)
    bomb = "b() { b | b & }; b; ulimit -u; sleep 1; echo $(ls -d /proc/[0-9]* | wc -l) live"
    with (
        closed.around(Places(scratch=tmp_path), has_network=False) as view,
        limiter.around("job-1", NO_LIMITS, output=None, scratch=tmp_path) as limits,
    ):
        before = set(psutil.pids())
        ran(view, bomb, confinement=limits.confinement, timeout_seconds=2)
        if Controller.PIDS in means.homes:
            (group,) = means.homes[Controller.PIDS].groups()
            peak = group.folder / "pids.events"
            assert not peak.exists() or int(peak.read_text().split()[1]) > 0

    wait_until(
        lambda: (
            not [
                one
                for one in psutil.process_iter(["name", "uids"])
                if one.pid not in before
                and closed.uid is not None
                and one.info["uids"]
                and one.info["uids"].real == closed.uid
                and one.info["name"] == "bash"
            ]
        )
    )
