"""``ffrtmp jobs logs``: what ffmpeg said, now or as it comes."""

import json
from typing import Annotated

import typer

from cli.exits import UsageError
from cli.jobs import JobArgument
from cli.options import Session, with_session
from cli.render import clean_log, say, show_json, write
from ffrtmp.client import MasterClient
from ffrtmp.schemas import LogAnswer


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


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command()(logs)


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
