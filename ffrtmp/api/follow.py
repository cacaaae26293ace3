"""A job's log as server-sent events, without holding a thread or a transaction while it waits.

All who follow one job share one look at it. Each is handed what is new through a queue of its own,
which is bounded: whoever does not keep up is cut off.
"""

import asyncio
import json
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from ffrtmp.domain.errors import FarmError, Unavailable
from ffrtmp.services.farm import Farm
from ffrtmp.services.jobs import JobLog, LogMark

EVENT_SCHEMA = {
    "type": "object",
    "description": "Of each event: text of the log, or at the end the job's status as JSON.",
    "properties": {"event": {"const": "end"}, "data": {"type": "string"}},
    "required": ["data"],
}
"""As OpenAPI before 3.2 describes a stream: by one of its events."""
POLL_SECONDS = 0.5
LOOKS_PER_SECOND = 40.0
"""Of all jobs together; where more are followed each is looked at less often."""
QUIET_SECONDS = 10.0
"""Without news for so long, a comment tells client and proxies that the stream lives."""
PIECE_CHARACTERS = 16 << 10
"""A client that does not read has one piece in memory, not a whole log."""
MAX_BEHIND = 64
"""Pieces of news that wait for one follower."""
log = logging.getLogger(__name__)


@dataclass(slots=True)
class _Sent:
    """How far the followers of a job have been told."""

    attempt: int | None = None
    text: str = ""
    pieces: list[str] = field(default_factory=list)
    """What was sent of this attempt: those who come later share it."""

    def news(self, log: JobLog) -> str:
        """What this log has that was not sent; moves on."""
        if log.attempt != self.attempt:
            self.attempt, self.text = log.attempt, ""
            self.pieces = []
        # A finished log has its middle cut out: its head is what was sent, the rest is new.
        shared = len(self.text) if log.text.startswith(self.text) else 0
        new = log.text[shared:]
        self.text = log.text
        if new and not self.pieces:
            new = f"--- attempt {log.attempt} on {log.job.node_name or 'no node'} ---\n{new}"
        if new:
            self.pieces.append(new)
        return new


@dataclass(slots=True, eq=False)
class _Follower:
    """What waits for one client; None is the end of it."""

    missed: Sequence[str]
    """What was said before it came."""
    queue: asyncio.Queue[str | None] = field(
        default_factory=lambda: asyncio.Queue(maxsize=MAX_BEHIND)
    )
    is_behind: bool = False

    def hand(self, said: str | None) -> None:
        if self.queue.full():
            self.is_behind = True
        else:
            self.queue.put_nowait(said)


@dataclass(slots=True, eq=False)
class _Tail:
    """One job that is followed; ``end`` is its status once it has one for good."""

    sent: _Sent = field(default_factory=_Sent)
    mark: LogMark | None = None
    end: str | None = None
    followers: set[_Follower] = field(default_factory=set)
    task: asyncio.Task[None] | None = None

    def tell(self, said: str | None) -> None:
        if said == "":
            return
        for follower in self.followers:
            follower.hand(said)


class Following(StreamingResponse):
    """A stream for which there is a seat as long as it lasts; ``seat`` raises where there is
    none, and then nothing was sent."""

    def __init__(
        self, events: AsyncGenerator[str], *, seat: Callable[[], AbstractContextManager[None]]
    ) -> None:
        super().__init__(events, media_type="text/event-stream")
        self._events = events
        self._seat = seat

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send until the end, or until nobody reads."""
        try:
            with self._seat():
                await super().__call__(scope, receive, send)
        finally:
            await self._events.aclose()


class Tails:
    """The jobs that this process follows for its clients."""

    def __init__(self, farm: Farm) -> None:
        self._farm = farm
        self._tails: dict[str, _Tail] = {}

    def __len__(self) -> int:
        return len(self._tails)

    async def log_events(
        self, job_id: str, *, quiet_limit_seconds: float = QUIET_SECONDS
    ) -> AsyncGenerator[str]:
        """Events whose data is log text, then one ``end`` event with the job's status."""
        tail = self._tails.setdefault(job_id, _Tail())
        follower = _Follower(missed=tuple(tail.sent.pieces))
        tail.followers.add(follower)
        if tail.task is None:
            tail.task = asyncio.create_task(self._watch(job_id, tail))
        try:
            async for said in _heard(follower, quiet_limit_seconds):
                yield said
            if tail.end is not None and not follower.is_behind:
                yield f"event: end\ndata: {json.dumps({'status': tail.end})}\n\n"
        finally:
            tail.followers.discard(follower)
            if not tail.followers and self._tails.get(job_id) is tail:
                del self._tails[job_id]
                tail.task.cancel()

    async def _watch(self, job_id: str, tail: _Tail) -> None:
        """Look at a job while anybody follows it, until it ends."""
        try:
            while tail.end is None:
                if found := await run_in_threadpool(_log_since, self._farm, job_id, tail.mark):
                    tail.mark, log_now = found
                    tail.tell(tail.sent.news(log_now))
                    if log_now.job.status.is_terminal:
                        tail.end = log_now.job.status
                if tail.end is None:
                    await asyncio.sleep(max(POLL_SECONDS, len(self._tails) / LOOKS_PER_SECOND))
        except FarmError as error:
            log.info("job %s cannot be followed any more: %s", job_id, error)
        except Exception:
            log.exception("job %s cannot be followed any more", job_id)
        finally:
            tail.tell(None)
            # Who comes after the end looks anew: the job may have been retried.
            if self._tails.get(job_id) is tail:
                del self._tails[job_id]


async def _heard(follower: _Follower, quiet_limit_seconds: float) -> AsyncIterator[str]:
    for piece in follower.missed:
        for event in _events(piece):
            yield event
    while True:
        try:
            said = await asyncio.wait_for(follower.queue.get(), quiet_limit_seconds)
        except TimeoutError:
            yield ": nothing new\n\n"
            continue
        for event in _events(said or ""):
            yield event
        if said is None or (follower.is_behind and follower.queue.empty()):
            return


def _log_since(farm: Farm, job_id: str, mark: LogMark | None) -> tuple[LogMark, JobLog] | None:
    """None where nothing has changed, and while the database does not answer: the next look may
    find more."""
    try:
        return farm.jobs.log_since(job_id, mark)
    except Unavailable:
        return None


def _events(text: str) -> Iterator[str]:
    plain = text.replace("\r\n", "\n").replace("\r", "\n")
    for start in range(0, len(plain), PIECE_CHARACTERS):
        lines = plain[start : start + PIECE_CHARACTERS].split("\n")
        yield "".join(f"data: {line}\n" for line in lines) + "\n"
