"""``ffrtmp jobs``: look at jobs and change what becomes of them."""

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.exits import UsageError
from cli.options import Session, group_callback, with_session
from cli.render import (
    clean_log,
    percent,
    say,
    show_facts,
    show_json,
    show_table,
    write,
)
from ffrtmp.client import MasterClient
from ffrtmp.config import parse_duration
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.schemas import AttemptAnswer, JobAnswer, JobList, LogAnswer

PAGE = 100
COLUMNS = (
    "seq",
    "scenario",
    "queue",
    "priority",
    "status",
    "progress",
    "node",
    "attempt",
    "created",
)
ATTEMPT_COLUMNS = (
    "attempt",
    "node",
    "state",
    "outcome",
    "failure",
    "exit",
    "progress",
    "started",
    "ended",
    "error",
)

JobArgument = Annotated[str, typer.Argument(help="id or sequence number", show_default=False)]
QueueOption = Annotated[Queue | None, typer.Option("--queue", help="live, default or batch")]
PriorityOption = Annotated[Priority | None, typer.Option("--priority", help="high, medium or low")]

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
app.callback()(group_callback("Submit jobs, watch them and change what becomes of them."))


@app.command("list")
@with_session
def list_jobs(
    session: Session,
    *,
    status: Annotated[JobStatus | None, typer.Option(help="only these")] = None,
    queue: QueueOption = None,
    priority: PriorityOption = None,
    node: Annotated[str | None, typer.Option(help="only of this node: id, name, address")] = None,
    scenario: Annotated[str | None, typer.Option(help="only this scenario")] = None,
    since: Annotated[
        str | None, typer.Option(help="submitted since then: 30m, 2h, or an RFC 3339 time")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="at most this many")] = 50,
    every: Annotated[
        bool, typer.Option("--all", help="all of them, whatever --limit says")
    ] = False,
) -> None:
    """List jobs."""
    filters: dict[str, str | int | None] = {
        "status": status,
        "queue": queue,
        "priority": priority,
        "node": node,
        "scenario": scenario,
        "since": since_time(since, datetime.now(UTC)) if since else None,
    }
    with session.client() as master:
        found = collect(master, filters, limit=None if every else limit)
    if session.wants_json:
        show_json(found)
        return
    show_table(COLUMNS, [_row(job) for job in found.jobs])
    if found.next:
        say(f"there are more than these {found.count}: --limit N or --all shows them")


@app.command()
@with_session
def status(session: Session, job: JobArgument) -> None:
    """Show every fact of a job."""
    with session.client() as master:
        show_job(session, master.job(job))


@app.command()
@with_session
def logs(
    session: Session,
    job: JobArgument,
    *,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="go on until the job has ended")
    ] = False,
    attempt: Annotated[
        int | None, typer.Option(min=1, help="of this attempt; the last one by default")
    ] = None,
) -> None:
    """Show what ffmpeg said; the error where there is no log."""
    if follow and attempt is not None:
        raise UsageError("--follow shows the attempt that runs: give it or --attempt, not both")
    with session.client() as master:
        if follow:
            _follow(session, master, job)
        else:
            _show_logs(session, master.logs(job, attempt=attempt))


@app.command()
@with_session
def cancel(session: Session, job: JobArgument) -> None:
    """Cancel a pending or running job."""
    with session.client() as master:
        announce(session, master.cancel(job))


@app.command()
@with_session
def retry(session: Session, job: JobArgument) -> None:
    """Run a failed or canceled job again, with a fresh budget."""
    with session.client() as master:
        announce(session, master.retry(job))


@app.command()
@with_session
def reprioritize(
    session: Session,
    job: JobArgument,
    *,
    queue: QueueOption = None,
    priority: PriorityOption = None,
) -> None:
    """Move a pending job to another queue or priority."""
    if queue is None and priority is None:
        raise UsageError("give --queue, --priority or both")
    with session.client() as master:
        announce(session, master.reprioritize(job, queue=queue, priority=priority))


@app.command()
@with_session
def attempts(session: Session, job: JobArgument) -> None:
    """Show each run of a job: where, how it ended."""
    with session.client() as master:
        found = master.attempts(job)
    if session.wants_json:
        show_json(found)
    else:
        show_table(ATTEMPT_COLUMNS, [_attempt_row(attempt) for attempt in found.attempts])


@app.command()
@with_session
def events(session: Session, job: JobArgument) -> None:
    """Show a job's history, oldest first."""
    with session.client() as master:
        found = master.events(job)
    if session.wants_json:
        show_json(found)
        return
    rows = [(e.at, e.kind, e.attempt, e.node_id, e.data) for e in found.events]
    show_table(("at", "event", "attempt", "node", "data"), rows)


def collect(
    master: MasterClient, filters: dict[str, str | int | None], *, limit: int | None
) -> JobList:
    """The pages of a list as one; ``limit`` None is all."""
    jobs: list[JobAnswer] = []
    cursor: str | None = None
    while limit is None or len(jobs) < limit:
        size = PAGE if limit is None else min(PAGE, limit - len(jobs))
        page = master.jobs(**filters, limit=size, cursor=cursor)
        jobs += page.jobs
        cursor = page.next
        if cursor is None or not page.jobs:
            break
    return JobList(jobs=jobs, count=len(jobs), next=cursor)


def since_time(text: str, now: datetime) -> str:
    """RFC 3339 of an age such as ``2h`` or of a time; UsageError for anything else."""
    try:
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?(ms|s|m|h)", text):
            return (now - timedelta(seconds=float(str(parse_duration(text))))).isoformat()
        at = datetime.fromisoformat(text)
    except (ValueError, OverflowError):
        raise UsageError(f"--since {text!r} is neither an age such as 2h nor a time") from None
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).isoformat()


def show_job(session: Session, job: JobAnswer) -> None:
    """Every fact of a job on stdout."""
    if session.wants_json:
        show_json(job)
        return
    facts = job.model_dump()
    show_facts(facts | {"progress": percent(job.progress)})


def announce(session: Session, job: JobAnswer) -> None:
    """A job in one line, or as JSON."""
    if session.wants_json:
        show_json(job)
    else:
        write(f"{job_line(job)}\n")


def job_line(job: JobAnswer) -> str:
    """A job in one line."""
    return (
        f"job {job.sequence_number} {job.status} in {job.queue}/{job.priority}"
        f" ({job.scenario}, {job.id})"
    )


def log_text(found: LogAnswer) -> str:
    """The log of an attempt as a terminal may show it, or the error that stands for it."""
    text = clean_log(found.logs)
    if not text.strip():
        return f"no log: {clean_log(found.error)}\n" if found.error else ""
    return text if text.endswith("\n") else text + "\n"


def _show_logs(session: Session, found: LogAnswer) -> None:
    if session.wants_json:
        show_json(found)
        return
    text = log_text(found)
    write(text)
    if not text:
        say(f"job {found.sequence_number} has no log yet; 'ffrtmp jobs status' says why")


def _follow(session: Session, master: MasterClient, job: str) -> None:
    known = master.job(job)
    last = "\n"
    for piece in master.follow_logs(job):
        last = piece or last
        write(json.dumps({"text": piece}) + "\n" if session.wants_json else clean_log(piece))
    if not last.endswith("\n") and not session.wants_json:
        write("\n")
    ended = master.job(known.id)
    say(f"job {ended.sequence_number} {ended.status}" + (f": {ended.error}" if ended.error else ""))


def _row(job: JobAnswer) -> tuple[Any, ...]:
    return (
        job.sequence_number,
        job.scenario,
        job.queue,
        job.priority,
        job.status,
        percent(job.progress),
        job.node_name,
        job.attempt,
        job.created_at,
    )


def _attempt_row(attempt: AttemptAnswer) -> tuple[Any, ...]:
    return (
        attempt.number,
        attempt.node_name,
        attempt.state,
        attempt.outcome,
        attempt.failure_class,
        attempt.exit_code,
        percent(attempt.progress),
        attempt.started_at,
        attempt.ended_at,
        attempt.error,
    )
