"""``ffrtmp demo``: a farm, three real jobs, what came out, and nothing left behind."""

import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import psutil
import typer

from cli.clip import make_clip
from cli.exits import CliError, UsageError
from cli.folder import FarmFolder
from cli.logs import log_text
from cli.options import Session, with_session
from cli.render import say, seconds_text, show_json, show_table, size_text, write
from cli.submit import absolute
from cli.up import log_to_stderr
from cli.watch import POLL_SECONDS, view_on_stderr
from ffrtmp.client import MasterClient
from ffrtmp.config import MasterSettings, WorkerSettings
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import JobAnswer

if TYPE_CHECKING:
    from cli.farm import FarmPlan, RunningFarm

LIMIT_SECONDS = 300.0
INPUT_SECONDS = "10s"
LOG_TAIL_LINES = 12
SLOTS = 2
JOBS = (
    ("live-720p30-h264", "live", "high"),
    ("480p-h264", "default", "medium"),
    ("batch-360p-h265", "batch", "low"),
)
COLUMNS = (
    "seq",
    "scenario",
    "queue",
    "priority",
    "status",
    "node",
    "attempt",
    "seconds",
    "output",
    "size",
)
INTERRUPTED = 130


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """What a demo has to show: the jobs at their end, one log, and the time to the first ffmpeg."""

    jobs: Sequence[JobAnswer]
    log: str
    first_ffmpeg_seconds: float


@with_session
def demo(
    session: Session,
    source: Annotated[
        Path | None,
        typer.Argument(metavar="[INPUT]", help="a video to transcode; without one a clip is made"),
    ] = None,
    *,
    keep: Annotated[bool, typer.Option("--keep", help="keep the folder with the outputs")] = False,
) -> None:
    """Start a farm in a temporary folder, run three jobs on it, show them, and stop it."""
    if source is not None and not source.is_file():
        raise UsageError(f"{source} is not a file; give a video, or nothing for a made clip")
    log_to_stderr()
    with _folder(keep=keep) as path:
        shown = _demonstrate(path, source)
        if shown is None:
            raise typer.Exit(INTERRUPTED)
        _show(session, shown, path, keep=keep)
    _require_completed(shown.jobs)


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(demo)


@contextmanager
def _folder(*, keep: bool) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="ffrtmp-demo-"))
    try:
        yield path
    finally:
        if not keep:
            shutil.rmtree(path, ignore_errors=True)


def _demonstrate(path: Path, source: Path | None) -> Shown | None:
    from cli.farm import running  # heavy, and no other command needs it

    clip, duration = _input(path, source)
    started_at = datetime.now(UTC)
    say("starting a farm: broker, database, API, control, one node")
    folder = FarmFolder(path / "farm")
    with folder.locked(), running(_plan(folder, path / "output")) as farm:
        if farm is None:
            return None
        say(f"ready at {farm.plan.api_url} after {_since(started_at):.1f} s")
        with MasterClient(farm.plan.connection()) as master:
            return _run_jobs(farm, master, clip, duration, started_at)


def _plan(folder: FarmFolder, output: Path) -> "FarmPlan":
    from cli.farm import settle

    master = MasterSettings(port=0, data_dir=folder.path)
    agent = WorkerSettings(slots=SLOTS, busy_heartbeat_interval=1.0, work_dir=output)
    return settle(folder, master, agent, workers=1)


def _input(path: Path, source: Path | None) -> tuple[str, str | None]:
    """What to transcode, and how much of it; None is all."""
    if source is not None:
        say(f"input: the first {INPUT_SECONDS} of {source}")
        return absolute(str(source)) or "", INPUT_SECONDS
    clip = path / "clip.mp4"
    say(f"input: a clip made here, {clip}")
    make_clip(clip)
    return str(clip), None


def _run_jobs(
    farm: "RunningFarm", master: MasterClient, clip: str, duration: str | None, started_at: datetime
) -> Shown | None:
    watcher = FfmpegWatch(farm.supervisor.pids()["agent-1"])
    output = farm.plan.folder.path.parent / "output"
    jobs = [_submit(master, job, clip, duration, output) for job in JOBS]
    give_up_at = time.monotonic() + LIMIT_SECONDS
    with view_on_stderr() as view:
        while not all(job.status.is_terminal for job in jobs):
            if farm.stop.is_set():
                return None
            if time.monotonic() > give_up_at:
                raise CliError(
                    f"the jobs took longer than {LIMIT_SECONDS:.0f} s; --keep keeps logs"
                )
            for job in jobs:
                view.update(job)
            watcher.look()
            time.sleep(POLL_SECONDS)
            jobs = [master.job(job.id) for job in jobs]
        for job in jobs:
            view.update(job)
    return Shown(
        jobs=jobs,
        log=log_text(master.logs(jobs[0].id)),
        first_ffmpeg_seconds=(_first_run(jobs, watcher) - started_at).total_seconds(),
    )


def _submit(
    master: MasterClient,
    job: tuple[str, str, str],
    clip: str,
    duration: str | None,
    output: Path,
) -> JobAnswer:
    scenario, queue, priority = job
    parameters = {"input": clip, "output": str(output / f"{scenario}.mp4")} | (
        {"duration": duration} if duration else {}
    )
    body = {"scenario": scenario, "queue": queue, "priority": priority, "parameters": parameters}
    return master.submit(body)


class FfmpegWatch:
    """Notes when the first ffmpeg of an agent started, from the process table."""

    def __init__(self, agent_pid: int) -> None:
        self._agent_pid = agent_pid
        self._since = datetime.now(UTC).timestamp() - 0.05
        self.first_at: datetime | None = None

    def look(self) -> None:
        """Look once; the process table has the start time, so being late does not matter."""
        if self.first_at is not None:
            return
        started = [at for at in self._starts() if at >= self._since]
        if started:
            self.first_at = datetime.fromtimestamp(min(started), UTC)

    def _starts(self) -> Iterator[float]:
        try:
            for process in psutil.Process(self._agent_pid).children(recursive=True):
                if process.name().startswith("ffmpeg"):
                    yield process.create_time()
        except psutil.Error:
            return


def _first_run(jobs: Sequence[JobAnswer], watcher: FfmpegWatch) -> datetime:
    if watcher.first_at is not None:
        return watcher.first_at
    return min(job.started_at for job in jobs if job.started_at is not None)


def _show(session: Session, shown: Shown, path: Path, *, keep: bool) -> None:
    if session.wants_json:
        jobs = [job.model_dump(mode="json") for job in shown.jobs]
        show_json({"jobs": jobs, "first_ffmpeg_seconds": round(shown.first_ffmpeg_seconds, 3)})
        return
    show_table(COLUMNS, [_row(job) for job in shown.jobs])
    tail = "".join(shown.log.splitlines(keepends=True)[-LOG_TAIL_LINES:])
    write(f"\nthe end of job {shown.jobs[0].sequence_number}'s log:\n{tail}\n")
    say(f"from farm start to the first ffmpeg: {shown.first_ffmpeg_seconds:.1f} s")
    say(f"kept in {path}" if keep else f"removed {path}; --keep keeps outputs and logs")


def _row(job: JobAnswer) -> tuple[object, ...]:
    result = job.result or {}
    return (
        job.sequence_number,
        job.scenario,
        job.queue,
        job.priority,
        job.status,
        job.node_name,
        job.attempt,
        seconds_text(_run_seconds(job)),
        result.get("output"),
        size_text(result.get("size_bytes")),
    )


def _run_seconds(job: JobAnswer) -> float | None:
    if job.started_at is None or job.completed_at is None:
        return None
    return (job.completed_at - job.started_at).total_seconds()


def _require_completed(jobs: Sequence[JobAnswer]) -> None:
    failed = [job for job in jobs if job.status is not JobStatus.COMPLETED]
    if failed:
        said = "; ".join(f"job {job.sequence_number} {job.status}: {job.error}" for job in failed)
        raise CliError(f"{said}; run it with --keep to look at the logs")


def _since(at: datetime) -> float:
    return (datetime.now(UTC) - at).total_seconds()
