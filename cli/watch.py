"""Waiting for a job's end: a bar on a terminal, plain lines elsewhere, the log on demand."""

import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Self

from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from cli.exits import JobNotCompleted
from cli.render import clean, clean_log, console_on, is_terminal, percent, say, write
from ffrtmp.client import ClientError, MasterClient, MasterUnavailable, MasterUnreachable
from ffrtmp.domain.job import JobStatus
from ffrtmp.schemas import JobAnswer

POLL_SECONDS = 0.4
PATIENCE_SECONDS = 60.0
LOG_TAIL_SECONDS = 10.0
BAR_WIDTH = 16
MOST_NAME_WIDTH = 30


@dataclass(frozen=True, slots=True)
class Ended:
    """A job that has reached its end."""

    job: JobAnswer

    def require_completed(self) -> None:
        """JobNotCompleted unless the job completed."""
        job = self.job
        if job.status is JobStatus.COMPLETED:
            return
        why = f": {job.error}" if job.error else ""
        hint = f"'ffrtmp jobs logs {job.sequence_number}' shows more"
        raise JobNotCompleted(f"job {job.sequence_number} {job.status}{why}; {hint}")


def watch(master: MasterClient, job: JobAnswer, *, show_log: bool, text_log: bool) -> Ended:
    """Follow a job to its end; an absent master is waited for, up to PATIENCE_SECONDS.

    Progress goes to stderr; the log goes to stdout where ``text_log``, else to stderr.
    """
    follower = LogFollower(master, job.id) if show_log else None
    with view_on_stderr() as shown:
        emit = shown.print_log if is_terminal(sys.stderr) or not text_log else write
        ended = _until_end(master, job, shown, lambda: _pump(follower, emit))
        if follower is not None:
            follower.join()
            _pump(follower, emit)
    return Ended(ended)


def view_on_stderr() -> "ProgressView":
    """Bars on a terminal, lines elsewhere."""
    return ProgressBars() if is_terminal(sys.stderr) else ProgressLines()


def _until_end(
    master: MasterClient, job: JobAnswer, shown: "ProgressView", each_time: Callable[[], None]
) -> JobAnswer:
    while True:
        shown.update(job)
        each_time()
        if job.status.is_terminal:
            return job
        time.sleep(POLL_SECONDS)
        job = ask_patiently(partial(master.job, job.id))


def ask_patiently(ask: Callable[[], JobAnswer]) -> JobAnswer:
    """The answer, however often it takes; the last error after PATIENCE_SECONDS without one."""
    give_up_at = time.monotonic() + PATIENCE_SECONDS
    is_told = False
    while True:
        try:
            return ask()
        except (MasterUnreachable, MasterUnavailable):
            if time.monotonic() > give_up_at:
                raise
        if not is_told:
            say("the master does not answer; the job goes on, waiting for it")
        is_told = True
        time.sleep(POLL_SECONDS)


class ProgressView:
    """What shows progress; this one shows none."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def update(self, job: JobAnswer) -> None:
        """Show how far a job is."""

    def print_log(self, text: str) -> None:
        """Show log text."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class ProgressLines(ProgressView):
    """A line on stderr per change, at most one per tenth of progress."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[object, ...]] = {}

    def update(self, job: JobAnswer) -> None:
        """One line where state, attempt or a tenth of progress changed."""
        now = (job.status, job.attempt, int(10 * job.progress), bool(job.waiting_reason))
        if self._said.get(job.id) != now:
            self._said[job.id] = now
            say(progress_line(job))

    def print_log(self, text: str) -> None:
        """Log text to stderr."""
        sys.stderr.write(text)
        sys.stderr.flush()


class ProgressBars(ProgressView):
    """A bar per job on the terminal, below whatever the log says."""

    def __init__(self) -> None:
        self._bars: dict[str, TaskID] = {}
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=_cut(MOST_NAME_WIDTH)),
            BarColumn(BAR_WIDTH),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeElapsedColumn(),
            TextColumn("{task.fields[said]}", markup=False, table_column=_cut()),
            console=console_on(sys.stderr),
            transient=False,
            expand=True,
        )
        self._progress.start()

    def update(self, job: JobAnswer) -> None:
        """Move the job's bar."""
        if job.id not in self._bars:
            name = f"job {job.sequence_number} {clean(job.scenario)}"
            self._bars[job.id] = self._progress.add_task(name, total=1.0, said="")
        done = 1.0 if job.status is JobStatus.COMPLETED else job.progress
        self._progress.update(self._bars[job.id], completed=done, said=clean(state_text(job)))
        if job.status.is_terminal:
            self._progress.stop_task(self._bars[job.id])

    def print_log(self, text: str) -> None:
        """Log text above the bars."""
        self._progress.console.print(text, end="", soft_wrap=True)

    def close(self) -> None:
        """Draw the last state and stop."""
        self._progress.stop()


def _cut(most_width: int | None = None) -> Column:
    """A column whose text is cut where it does not fit; without a width it takes what is left."""
    ratio = 1 if most_width is None else None
    return Column(no_wrap=True, overflow="ellipsis", max_width=most_width, ratio=ratio)


def progress_line(job: JobAnswer) -> str:
    """One plain line about a job."""
    return f"job {job.sequence_number} {job.scenario}: {percent(job.progress)} {state_text(job)}"


def state_text(job: JobAnswer) -> str:
    """State, speed and whatever it waits for."""
    words = [str(job.status)]
    if job.attempt > 1:
        words.append(f"attempt {job.attempt}")
    if job.status is JobStatus.RUNNING and job.fps:
        words.append(f"{job.fps:.0f} fps")
    if job.status is JobStatus.RUNNING and job.speed:
        words.append(f"{job.speed:.2f}x")
    if job.status is JobStatus.RUNNING and job.bits_per_second:
        words.append(f"{job.bits_per_second / 1e6:.2f} Mbit/s")
    if job.status is JobStatus.RUNNING and job.dropped_frames:
        words.append(f"{job.dropped_frames} frames dropped")
    if job.status is JobStatus.RUNNING and job.node_name:
        words.append(f"on {job.node_name}")
    if job.waiting_reason:
        words.append(f"({job.waiting_reason})")
    return " ".join(words)


class LogFollower:
    """Reads a job's log stream on a thread of its own; whoever waits takes what has come."""

    def __init__(self, master: MasterClient, job_id: str) -> None:
        self._pieces: SimpleQueue[str] = SimpleQueue()
        self._thread = threading.Thread(target=self._read, args=(master, job_id), daemon=True)
        self._thread.start()

    def taken(self) -> str:
        """What has come since the last call."""
        text = ""
        while True:
            try:
                text += self._pieces.get_nowait()
            except Empty:
                return text

    def join(self) -> None:
        """Wait for the stream's end, for LOG_TAIL_SECONDS."""
        self._thread.join(LOG_TAIL_SECONDS)

    def _read(self, master: MasterClient, job_id: str) -> None:
        try:
            for piece in master.follow_logs(job_id):
                self._pieces.put(clean_log(piece))
        except ClientError as error:
            self._pieces.put(f"\n[the log stream was cut: {clean(str(error))}]\n")


def _pump(follower: LogFollower | None, emit: Callable[[str], None]) -> None:
    text = follower.taken() if follower is not None else ""
    if text:
        emit(text)
