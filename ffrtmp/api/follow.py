"""A job's log as server-sent events, without holding a thread or a transaction while it waits."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass

from starlette.concurrency import run_in_threadpool

from ffrtmp.domain.errors import Unavailable
from ffrtmp.services.farm import Farm
from ffrtmp.services.jobs import JobLog

POLL_SECONDS = 0.5
QUIET_SECONDS = 10.0
"""Without news for so long, a comment tells client and proxies that the stream lives."""


@dataclass(slots=True)
class _Sent:
    """How far a follower has read."""

    attempt: int | None = None
    text: str = ""

    def news(self, log: JobLog) -> str:
        """What this log has that was not sent; moves on."""
        heading = ""
        if log.attempt != self.attempt:
            heading = f"--- attempt {log.attempt} on {log.job.node_name or 'no node'} ---\n"
            self.attempt, self.text = log.attempt, ""
        # A finished log has its middle cut out: its head is what was sent, the rest is new.
        shared = len(self.text) if log.text.startswith(self.text) else 0
        new = log.text[shared:]
        self.text = log.text
        return heading + new if new else ""


async def log_events(
    farm: Farm, job_id: str, *, quiet_limit_seconds: float = QUIET_SECONDS
) -> AsyncIterator[str]:
    """Events whose data is log text, then one ``end`` event with the job's status."""
    sent = _Sent()
    quiet_seconds = 0.0
    while True:
        log = await run_in_threadpool(_log_of, farm, job_id)
        new = sent.news(log) if log else ""
        if new:
            yield _event(new)
            quiet_seconds = 0.0
        if log and log.job.status.is_terminal:
            yield f"event: end\ndata: {json.dumps({'status': log.job.status})}\n\n"
            return
        if quiet_seconds >= quiet_limit_seconds:
            yield ": nothing new\n\n"
            quiet_seconds = 0.0
        await asyncio.sleep(POLL_SECONDS)
        quiet_seconds += POLL_SECONDS


def _log_of(farm: Farm, job_id: str) -> JobLog | None:
    """None while the database does not answer: the next look may find more."""
    try:
        return farm.jobs.log(job_id)
    except Unavailable:
        return None


def _event(text: str) -> str:
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    return "".join(f"data: {line}\n" for line in lines) + "\n"
