"""What the agent starts, how it ends, and what it may see."""

import json
import time
from pathlib import Path

import psutil

from ffrtmp.domain.attempt import Outcome
from ffrtmp.domain.job import JobStatus
from tests.chaos.farm import ChaosFarm
from tests.chaos.wrapped import wrapped_ffmpeg
from tests.integration.agents import KEY
from tests.waiting import wait_until
from workers.ffmpeg.child import MINIMAL_ENVIRONMENT

FLOOD_BYTES = 1 << 30
FLOOD_MAY_TAKE_BYTES = 48 << 20
LOG_MAY_HAVE_BYTES = (1 << 20) + 100


def test_cancel_ends_an_ffmpeg_that_ignores_sigterm_and_the_child_it_left_behind(
    farm: ChaosFarm, tmp_path: Path
) -> None:
    left = tmp_path / "left"
    stubborn = f"trap '' TERM HUP; sleep 1000 & echo $! > {left}; while :; do sleep 0.1; done"
    agent = farm.start_agent("host", ffmpeg=wrapped_ffmpeg(tmp_path / "ffmpeg", stubborn)).ready()
    job = farm.submit()
    wait_until(lambda: left.exists() and left.read_text().endswith("\n"))
    processes = [wait_until(agent.ffmpegs)[0], psutil.Process(int(left.read_text()))]

    farm.client.cancel(job.id)

    _, alive = psutil.wait_procs(processes, timeout=10)
    assert alive == []
    assert farm.client.attempts(job.id).attempts[0].outcome is Outcome.CANCELED
    wait_until(lambda: not agent.journals())
    assert agent.parts() == []


def test_terminated_agent_lets_its_attempt_finish_and_takes_nothing_new(farm: ChaosFarm) -> None:
    agent = farm.start_agent("leaving", drain_timeout=120).ready()
    running = farm.submit("720p30-h264", duration=10, preset="ultrafast")
    wait_until(agent.ffmpegs)
    waiting = farm.submit()

    status = agent.end(seconds=120)

    assert status == 0
    done = farm.client.job(running.id)
    assert (done.status, done.attempt) == (JobStatus.COMPLETED, 1)
    left = farm.client.job(waiting.id)
    assert (left.status, left.attempt) == (JobStatus.PENDING, 0)


def test_flood_of_messages_leaves_memory_flat_the_log_bounded_and_progress_read(
    farm: ChaosFarm, tmp_path: Path
) -> None:
    seen = tmp_path / "seen"
    script = (
        "flood() { yes 'frame dropped, again and again and again' | head -c $1 >&2; }\n"
        "echo the beginning >&2\n"
        f"flood {FLOOD_BYTES // 2}\n"
        "printf 'frame=3\\nout_time_us=50000\\nprogress=continue\\n'\n"
        f"while [ ! -e {seen} ]; do flood 1000000; done\n"
        f"flood {FLOOD_BYTES // 2}\n"
        "echo the end of the flood >&2"
    )
    agent = farm.start_agent("host", ffmpeg=wrapped_ffmpeg(tmp_path / "ffmpeg", script)).ready()
    process = psutil.Process(agent.popen.pid)
    before = peak = process.memory_info().rss
    job = farm.submit()

    wait_until(lambda: farm.client.job(job.id).progress == 0.5, seconds=120)
    seen.touch()
    while not farm.client.job(job.id).status.is_terminal:
        peak = max(peak, process.memory_info().rss)
        time.sleep(0.05)

    assert farm.client.job(job.id).status is JobStatus.COMPLETED
    assert peak - before < FLOOD_MAY_TAKE_BYTES
    log = farm.client.logs(job.id).logs
    assert len(log.encode()) < LOG_MAY_HAVE_BYTES
    assert log.startswith("the beginning\n")
    assert "bytes cut" in log
    assert "the end of the flood\n" in log


def test_child_of_the_agent_has_none_of_its_sockets_files_and_keys(
    farm: ChaosFarm, tmp_path: Path
) -> None:
    agent = farm.start_agent("host").ready()
    limits = {"max_cpu_percent": 1000, "max_memory_mb": 2048, "max_disk_mb": 1000}
    job = farm.submit(duration=3600, output=str(tmp_path / "out.mp4"), resource_limits=limits)
    wait_until(lambda: list(tmp_path.glob(".out*.part")))
    ffmpeg, child = wait_until(agent.ffmpegs)[0], wait_until(agent.celery_child)
    secrets = [KEY, json.loads((agent.state / "node.json").read_text())["node_token"]]

    of_agent, of_ffmpeg, of_child = (
        opened(pid) for pid in (agent.popen.pid, ffmpeg.pid, child.pid)
    )
    said = {pid: environment_and_arguments(pid) for pid in (ffmpeg.pid, child.pid)}
    farm.client.cancel(job.id)

    assert of_ffmpeg.pop(0) == "/dev/null"
    pipes = {of_ffmpeg.pop(1), of_ffmpeg.pop(2)}
    assert all(path.startswith("pipe:") for path in pipes)
    own = (str(tmp_path), "/box/output/")
    assert {path for path in of_ffmpeg.values() if not path.startswith(own)} <= pipes
    private = {path for path in of_agent.values() if path.startswith(("socket:", "pipe:"))}
    private |= {path for path in of_agent.values() if path.startswith(str(agent.state) + "/")}
    assert private & set(of_child.values()) == set()
    assert said[ffmpeg.pid][0] == {f"{name}={value}" for name, value in MINIMAL_ENVIRONMENT.items()}
    for environment, arguments in said.values():
        assert [
            text for text in environment | arguments if any(key in text for key in secrets)
        ] == []


def environment_and_arguments(pid: int) -> tuple[set[str], set[str]]:
    """What a process was started with."""
    files = (Path(f"/proc/{pid}/{name}").read_text() for name in ("environ", "cmdline"))
    environment, arguments = (set(filter(None, text.split("\0"))) for text in files)
    return environment, arguments


def opened(pid: int) -> dict[int, str]:
    """What each descriptor of a process leads to."""
    folder = Path(f"/proc/{pid}/fd")
    return {int(link.name): str(link.readlink()) for link in folder.iterdir()}
