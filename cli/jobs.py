"""``ffrtmp jobs``: look at jobs and change what becomes of them."""

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from cli.exits import UsageError
from cli.options import Session, group_callback, with_session
from cli.render import clean, duration_text, percent, say, show_facts, show_json, show_table, write
from ffrtmp.client import MasterClient
from ffrtmp.config import parse_duration
from ffrtmp.domain.job import JobStatus
from ffrtmp.domain.ranking import Priority, Queue
from ffrtmp.schemas import AttemptAnswer, JobAnswer, JobList, WaitingAnswer

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
    "device",
    "state",
    "pause",
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
    owner: Annotated[
        str | None, typer.Option(help="only what this key submitted, by its name")
    ] = None,
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
        "owner": owner,
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
    """Show every fact of a job, first of all why it waits."""
    with session.client() as master:
        show_job(session, master.job(job))


@app.command()
@with_session
def cancel(session: Session, job: JobArgument) -> None:
    """Cancel a pending, running or paused job."""
    with session.client() as master:
        announce(session, master.cancel(job))


@app.command()
@with_session
def pause(session: Session, job: JobArgument) -> None:
    """Suspend a running job: it keeps its node and its lease, and frees its slot."""
    with session.client() as master:
        announce(session, master.pause(job))


@app.command()
@with_session
def resume(session: Session, job: JobArgument) -> None:
    """Let a paused job go on as soon as its device has room."""
    with session.client() as master:
        announce(session, master.resume(job))


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
        if re.fullmatch(r"[0-9]+(\.[0-9]+)?(ms|s|m|h|d)", text):
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
    first = {
        "sequence_number": job.sequence_number,
        "status": job.status,
        "waiting_reason": job.waiting_reason,
        **_waiting_facts(job.waiting),
    }
    rest = job.model_dump(exclude={*first, "waiting"})
    show_facts(first | rest | {"progress": percent(job.progress)})


def announce(session: Session, job: JobAnswer) -> None:
    """A job in one line, or as JSON."""
    if session.wants_json:
        show_json(job)
    else:
        write(f"{clean(job_line(job))}\n")


def job_line(job: JobAnswer) -> str:
    """A job in one line, with the reason why it waits where that is known."""
    why = f": {job.waiting_reason}" if job.waiting_reason else ""
    return (
        f"job {job.sequence_number} {job.status} in {job.queue}/{job.priority}"
        f" ({job.scenario}, {job.id}){why}"
    )


def device_text(attempt: AttemptAnswer) -> str:
    """What an attempt runs on: ``cpu``, or a GPU and the kind of its encoder."""
    is_plain = attempt.device == attempt.hardware
    return attempt.device if is_plain else f"{attempt.device} {attempt.hardware}"


def _waiting_facts(waiting: WaitingAnswer | None) -> dict[str, object]:
    if waiting is None:
        return {}
    seconds = waiting.estimated_start_seconds
    numbers = waiting.model_dump(exclude={"estimated_start_seconds"})
    start = {"estimated_start": None if seconds is None else f"in {duration_text(seconds)}"}
    return {f"waiting.{name}": value for name, value in (numbers | start).items()}


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
        device_text(attempt),
        attempt.state,
        attempt.pause,
        attempt.outcome,
        attempt.failure_class,
        attempt.exit_code,
        percent(attempt.progress),
        attempt.started_at,
        attempt.ended_at,
        attempt.error,
    )
