"""One attempt, start to finish: stage, encode, hash, hand over to delivery."""

import logging
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from ffrtmp.client import ClientError, MasterRefused
from ffrtmp.domain.locations import is_local
from ffrtmp.domain.retry import FailureClass
from ffrtmp.domain.spec import NO_LIMITS, Limits
from ffrtmp.schemas import ClaimAnswer, LogChunk, ReleaseRequest, ResultRequest
from workers.box.box import NO_BOX, Box
from workers.box.view import Places as BoxPlaces
from workers.box.view import View
from workers.delivery import Delivery, failed
from workers.destinations import failure_of
from workers.digests import hash_durably
from workers.encoder import Encoder
from workers.errors import AttemptFailed, AttemptStopped
from workers.ffmpeg.log import BoundedLog
from workers.ffmpeg.started import ProcessIdentity
from workers.files import discard, inode_of
from workers.given import check_given
from workers.inspection import bits_per_second
from workers.ledger import Held, Ledger, Progress, StopReason
from workers.limits.attempt import Enforced, Limiter
from workers.log_feed import feeding
from workers.reading import Reading, reading
from workers.registration import may_pass
from workers.remote.items import Whole
from workers.remote.stores import Stores
from workers.running import ENCODING, Encode, Running, check_not_stopped
from workers.sources import find_source
from workers.spool import Journal, Phase, Spool
from workers.staging import Places, Staged, make_temporary, remove_older_parts, stage
from workers.streamer import Streamer
from workers.tracing import span
from workers.watched import Overdue, watched

RELEASE_TRIES = 3
RELEASE_PAUSE_SECONDS = 0.5
RELEASE_PATIENCE_SECONDS = 3.0
"""An agent that stops waits no longer for an attempt to end before it gives it back."""
log = logging.getLogger(__name__)


class RunnerClient(Protocol):
    """What a running attempt needs of the master's client; its key is the node token."""

    def append_log(self, job_id: str, attempt: int, body: LogChunk) -> None:
        """POST /attempts/{job}/{n}/logs."""
        ...

    def release(self, job_id: str, attempt: int, body: ReleaseRequest) -> None:
        """POST /attempts/{job}/{n}/release."""
        ...


@dataclass(slots=True, kw_only=True)
class Work:
    """One attempt while it runs."""

    claim: ClaimAnswer
    held: Held
    journal: Journal
    encode: Encode
    temporary: Path | None = None
    named: Callable[[str], str] = str
    """A text with the paths of the output as people know them."""
    limited_by: dict[str, str] = field(default_factory=dict)


class Runner:
    """Runs attempts, one per call and thread; ``on_end`` hears how each ended here.

    An attempt that still runs ``kill_seconds`` after it was to end is left behind.
    """

    def __init__(
        self,
        *,
        node_id: str,
        client: RunnerClient,
        encoder: Encoder,
        streamer: Streamer,
        limiter: Limiter,
        ceilings: Limits = NO_LIMITS,
        box: Box = NO_BOX,
        places: Places,
        stores: Stores,
        spool: Spool,
        ledger: Ledger,
        delivery: Delivery,
        on_end: Callable[[str], None],
        kill_seconds: float,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._node_id = node_id
        self._client = client
        self._encoder = encoder
        self._streamer = streamer
        self._limiter = limiter
        self._ceilings = ceilings
        self._box = box
        self._places = places
        self._stores = stores
        self._spool = spool
        self._ledger = ledger
        self._delivery = delivery
        self._on_end = on_end
        self._kill_seconds = kill_seconds
        self._now = now

    def run(self, claim: ClaimAnswer, held: Held) -> threading.Thread | None:
        """Run one attempt to its end, whatever that is; the thread where it cannot be ended.

        Such a thread waits for the kernel (a dead mount, a dead device): nothing else does.
        """
        work = _work_of(_within(claim, self._ceilings), held)
        about: dict[str, str | int] = {
            "job.id": claim.job_id,
            "job.attempt": claim.attempt,
            "job.scenario": claim.scenario,
        }
        with span("Run Attempt", parent=claim.trace_parent, attributes=about):
            log.info("attempt %s of %s starts", held, claim.scenario)
            try:
                finished = watched(
                    f"attempt {held}",
                    lambda: self._produce(work),
                    is_overdue=lambda: self._is_overdue(held),
                    when_late=lambda: discard(work.temporary),
                )
            except Overdue as overdue:
                self._leave_behind(work)
                return overdue.thread
            except AttemptStopped:
                self._abandon(work)
                return None
            except AttemptFailed as failure:
                finished = self._failed(work, failure)
            except OSError as error:
                log.exception("attempt %s failed", held)
                finished = self._failed(work, failure_of(error))
            except Exception as error:
                log.exception("attempt %s failed unexpectedly", held)
                unexpected = f"unexpected {type(error).__name__}: {error}"
                finished = self._failed(work, AttemptFailed(FailureClass.AGENT, unexpected))
            self._on_end(finished.phase)
            self._delivery.deliver(held, finished)
            return None

    def _is_overdue(self, held: Held) -> bool:
        seconds = self._kill_seconds
        if held.stop_reason is StopReason.RELEASED:
            seconds = min(seconds, RELEASE_PATIENCE_SECONDS)
        return held.is_overdue(after_seconds=seconds)

    def _leave_behind(self, work: Work) -> None:
        """End the attempt without touching its files: whoever does might hang as well."""
        work.journal = work.journal.model_copy(update={"temporary": None})
        if work.held.stop_reason is not None:
            self._abandon(work)
            return
        failure = _cannot_be_ended(work)
        work.held.stop(StopReason.OVERDUE)
        finished = self._failed(work, failure)
        self._on_end(finished.phase)
        self._delivery.deliver(work.held, finished)

    def _produce(self, work: Work) -> Journal:
        check_not_stopped(work.held)
        check_given(work.claim.spec)
        if work.claim.spec.is_stream:
            return self._stream(work)
        staged = stage(work.claim, self._places, self._stores)
        work.named = staged.folder.named
        with staged.folder:
            return self._produced(work, staged)

    def _produced(self, work: Work, staged: Staged) -> Journal:
        spec, is_adopted = work.claim.spec, staged.adopted is not None
        work.temporary = None if is_adopted else staged.part
        self._note(
            work,
            root=staged.root,
            destination=staged.destination,
            location=staged.location,
            temporary=work.temporary,
            overwrite=spec.overwrite,
        )
        remove_older_parts(staged.published, work.claim.job_id, work.claim.attempt)
        if staged.adopted is not None:
            return self._encoded(work, staged, staged.adopted, {"adopted": True})
        make_temporary(staged, is_folder=spec.makes_folder)
        with (
            feeding(self._client, work.held, work.encode.log.head_since),
            self._running(work, staged.source, staged.temporary) as running,
        ):
            facts = self._encoder.encode(work.claim, staged, running)
        work.held.suspension.end()
        sha256, size = _hashed(staged.temporary, work.held)
        work.journal = work.journal.model_copy(update={"inode": inode_of(staged.temporary)})
        return self._encoded(work, staged, Whole(sha256=sha256, size=size), facts)

    def _stream(self, work: Work) -> Journal:
        spec = work.claim.spec
        found = find_source(spec.input, self._places.media_roots)
        with (
            feeding(self._client, work.held, work.encode.log.head_since),
            self._running(work, found) as running,
        ):
            sent = self._streamer.stream(work.claim, running)
        facts = sent | {"rtmp_url": spec.rtmp_url, "is_test_source": found is None}
        result = self._result(work).model_copy(update={"metrics": facts | self._how_run(work)})
        return work.journal.model_copy(update={"phase": Phase.ENCODED, "result": result})

    @contextmanager
    def _running(
        self, work: Work, location: str | None, output: Path | None = None
    ) -> Iterator[Running]:
        """The attempt's processes, while its source may be read; ``output`` is what they write."""
        source = reading(
            location,
            folder=self._spool.input_folder(work.journal),
            networks=self._places.allow_networks,
            fetch=partial(self._fetch, work.held),
        )
        started = partial(self._started, work)
        with (
            source as opened,
            self._spool.scratch_folder(work.journal) as scratch,
            self._seen(work, opened, output, scratch) as view,
            self._limits(work, scratch) as limits,
        ):
            yield Running(
                work.held, work.encode, started, opened, scratch=scratch, limits=limits, view=view
            )

    def _seen(
        self, work: Work, source: Reading, output: Path | None, scratch: Path
    ) -> AbstractContextManager[View]:
        """What the processes see; whoever of them is left is killed before that ends."""
        path = source.location
        is_file = path is not None and is_local(path)
        places = BoxPlaces(
            source=Path(path) if path is not None and is_file else None,
            output=output,
            scratch=scratch,
        )
        is_remote = path is not None and not is_file
        return self._box.around(places, has_network=is_remote or work.claim.spec.is_stream)

    def _limits(self, work: Work, scratch: Path) -> AbstractContextManager[Enforced]:
        asked = work.claim.spec.limits
        work.limited_by = self._limiter.said(asked)
        name = f"{work.claim.job_id}-{work.claim.attempt}"
        return self._limiter.around(name, asked, output=work.temporary, scratch=scratch)

    def _fetch(self, held: Held, location: str, folder: Path) -> Path:
        def moved(at_bytes: int) -> None:
            held.progress = Progress(phase="fetching", mark=f"fetching {at_bytes}")
            check_not_stopped(held)

        moved(0)
        return self._stores.fetch(location, folder, moved)

    def _started(self, work: Work, process: ProcessIdentity) -> None:
        self._note(work, pid=process.pid, start_identity=process.start_identity)

    def _note(self, work: Work, **known: Any) -> None:
        check_not_stopped(work.held)
        work.journal = work.journal.model_copy(update=known)
        self._spool.save(work.journal)

    def _encoded(self, work: Work, staged: Staged, made: Whole, facts: dict[str, Any]) -> Journal:
        known = {"sha256": made.sha256, "size": made.size}
        metrics = facts | {
            "output": staged.shown,
            "size_bytes": made.size,
            "bits_per_second": bits_per_second(made.size, facts.get("duration_seconds")),
            "is_test_source": staged.source is None,
            **self._how_run(work),
        }
        result = self._result(work).model_copy(update=known | {"metrics": metrics})
        return work.journal.model_copy(update=known | {"phase": Phase.ENCODED, "result": result})

    def _how_run(self, work: Work) -> dict[str, Any]:
        return {
            "device": work.claim.device,
            "hardware": work.claim.hardware,
            "encode_seconds": round(work.encode.seconds, 3),
            "fps": work.encode.fps,
            "speed": work.encode.speed,
            "box": self._box.name,
            **_limits_of(work),
        }

    def _failed(self, work: Work, failure: AttemptFailed) -> Journal:
        why = AttemptFailed(failure.failure_class, work.named(failure.message))
        log.warning("attempt %s failed (%s): %s", work.held, why.failure_class, why)
        discard(work.journal.temporary)
        if failure.exit_code is not None:
            work.encode.exit_code = failure.exit_code
        reported = work.journal.model_copy(update={"result": self._result(work)})
        return failed(reported, why)

    def _result(self, work: Work) -> ResultRequest:
        return ResultRequest(
            job_id=work.claim.job_id,
            node_id=self._node_id,
            attempt=work.claim.attempt,
            lease=work.claim.lease,
            status="completed",
            exit_code=work.encode.exit_code,
            argv=[work.named(argument) for argument in work.encode.argv],
            logs=work.encode.log.text(),
            metrics=_limits_of(work),
            completed_at=self._now(),
        )

    def _abandon(self, work: Work) -> None:
        """Leave nothing of the attempt, and give it back where that was the order."""
        discard(work.journal.temporary)
        reason = work.held.stop_reason
        log.info("attempt %s stopped: %s", work.held, reason)
        if reason is StopReason.RELEASED:
            self._release(work)
        self._ledger.remove(work.held)
        self._spool.remove(work.journal)
        self._on_end(str(reason))

    def _release(self, work: Work) -> None:
        body = ReleaseRequest(lease=work.claim.lease, reason="the agent is stopping")
        for _ in range(RELEASE_TRIES):
            try:
                self._client.release(work.claim.job_id, work.claim.attempt, body)
                return
            except ClientError as error:
                if isinstance(error, MasterRefused) and not may_pass(error):
                    log.warning("attempt %s was not released: %s", work.held, error)
                    return
                log.warning("attempt %s is not released yet: %s", work.held, error)
                time.sleep(RELEASE_PAUSE_SECONDS)


def _work_of(claim: ClaimAnswer, held: Held) -> Work:
    journal = Journal(
        job_id=claim.job_id,
        attempt=claim.attempt,
        lease=claim.lease,
        phase=Phase.RUNNING,
        committed_sha256=tuple(claim.committed_sha256),
        trace_parent=claim.trace_parent,
    )
    return Work(claim=claim, held=held, journal=journal, encode=Encode(log=BoundedLog()))


def _within(claim: ClaimAnswer, ceilings: Limits) -> ClaimAnswer:
    spec = replace(claim.spec, limits=claim.spec.limits.within(ceilings))
    return claim.model_copy(update={"spec": spec})


def _limits_of(work: Work) -> dict[str, Any]:
    """By what the limits asked for were kept."""
    return {"limits": work.limited_by} if work.limited_by else {}


def _cannot_be_ended(work: Work) -> AttemptFailed:
    limit, phase = work.claim.spec.limits.timeout_seconds, work.held.progress.phase
    if phase == ENCODING and limit is not None:
        return AttemptFailed(
            FailureClass.LIMIT_EXCEEDED,
            f"the encode took longer than the {limit:g} s it may, and cannot be killed",
        )
    return AttemptFailed(FailureClass.STALLED, f"{phase} took too long and cannot be killed")


def _hashed(path: Path, held: Held) -> tuple[str, int]:
    def on_chunk(size: int) -> None:
        held.progress = Progress(phase="hashing", mark=f"hashing {size}", fraction=1.0)
        check_not_stopped(held)

    return hash_durably(path, on_chunk)
