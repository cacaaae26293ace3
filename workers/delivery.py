"""Handing finished work to the master: commit, publish, report, each as often as it takes.

The same steps serve an attempt that has just ended, one that ended while the master was away,
and one an earlier process of this node left in the spool.
"""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from ffrtmp.client import ClientError, MasterRefused
from ffrtmp.domain.retry import FailureClass
from ffrtmp.schemas import CommitAnswer, CommitRequest, JobAnswer, ResultRequest
from workers.backoff import jittered_delays
from workers.clock import boot_seconds
from workers.errors import AttemptFailed, OutputAway
from workers.files import discard
from workers.ledger import Held, Ledger, Progress, StopReason
from workers.publishing import Sending, publish_locally
from workers.registration import UNAUTHENTICATED, may_pass
from workers.remote.items import Upload
from workers.remote.stores import Stores
from workers.spool import Journal, Phase, Spool
from workers.threads import start_loop
from workers.tracing import span

MAX_SENDING = 4
"""Outputs on their way to other places at once, besides those of running slots."""
UNACCEPTABLE = (413, 422)
SENDING_PATIENCE_SECONDS = 3600.0
"""How long a place that does not answer is asked again before the attempt fails for it."""
log = logging.getLogger(__name__)


class DeliveryClient(Protocol):
    """What delivering needs of the master's client; its key is the node token."""

    def commit(self, job_id: str, attempt: int, body: CommitRequest) -> CommitAnswer:
        """POST /attempts/{job}/{n}/commit."""
        ...

    def report(self, body: ResultRequest) -> JobAnswer:
        """POST /results."""
        ...


@dataclass(slots=True, kw_only=True, eq=False)
class Parcel:
    """One finished attempt on its way; ``committed_at`` is the node's own clock when the
    last accepted commit was sent, ``away_since`` when the place it goes to first did not take it.
    """

    held: Held
    journal: Journal
    committed_at: float | None = None
    away_since: float | None = None
    tries: int = 0


class Delivery:
    """Delivers finished work and keeps what the master cannot take now."""

    def __init__(
        self,
        *,
        client: DeliveryClient,
        spool: Spool,
        ledger: Ledger,
        stores: Stores,
        node_timeout_seconds: Callable[[], float],
        sending_patience_seconds: float = SENDING_PATIENCE_SECONDS,
        now: Callable[[], float] = boot_seconds,
    ) -> None:
        self._client = client
        self._stores = stores
        self._sending_patience_seconds = sending_patience_seconds
        self._spool = spool
        self._ledger = ledger
        self._node_timeout_seconds = node_timeout_seconds
        self._now = now
        self._waiting: list[Parcel] = []
        self._sent_alone: list[Parcel] = []
        self._turns = threading.BoundedSemaphore(MAX_SENDING)
        self._arrived = threading.Condition()

    @property
    def waiting(self) -> int:
        """Finished attempts whose end the master does not know yet."""
        return len(self._waiting) + len(self._sent_alone)

    def deliver(self, held: Held, journal: Journal) -> bool:
        """Save the finished work, then hand it over; False where that must be tried later."""
        parcel = Parcel(held=held, journal=journal)
        self._record(parcel, journal)
        if self._try(parcel):
            return True
        self.keep(parcel)
        return False

    def keep(self, parcel: Parcel) -> None:
        """Deliver it from the background."""
        with self._arrived:
            self._waiting.append(parcel)
            self._arrived.notify()

    def run(self, stop: threading.Event) -> None:
        """Deliver what waits until stopped, backing off while the master is away."""
        delays = jittered_delays(base_seconds=0.3, cap_seconds=5.0)
        while not stop.is_set():
            with self._arrived:
                self._arrived.wait_for(lambda: bool(self._waiting), timeout=0.5)
            self._send_alone(stop)
            if not self._waiting or self.run_pass():
                delays = jittered_delays(base_seconds=0.3, cap_seconds=5.0)
            else:
                stop.wait(next(delays))

    def run_pass(self) -> int:
        """Try everything that waits once; how many left the spool."""
        delivered = [parcel for parcel in tuple(self._waiting) if self._try(parcel)]
        with self._arrived:
            self._waiting = [parcel for parcel in self._waiting if parcel not in delivered]
        return len(delivered)

    def _send_alone(self, stop: threading.Event) -> None:
        """Let what goes to other places hold nobody else up."""
        with self._arrived:
            leaving = [parcel for parcel in self._waiting if parcel.journal.location is not None]
            self._waiting = [parcel for parcel in self._waiting if parcel not in leaving]
            self._sent_alone += leaving
        for parcel in leaving:
            start_loop(
                f"sending {parcel.held}",
                partial(self._send, parcel, stop),
                stop=stop,
                fatal=lambda error: log.error("%s", error),
            )

    def _send(self, parcel: Parcel, stop: threading.Event) -> None:
        delays = jittered_delays(base_seconds=0.5, cap_seconds=30.0)
        while not stop.is_set():
            with self._turns:
                is_done = self._try(parcel)
            if is_done:
                self._sent_alone.remove(parcel)
                return
            stop.wait(next(delays))

    def _try(self, parcel: Parcel) -> bool:
        """True when nothing is left to do: the master knows, or wants no more of it."""
        parcel.tries += 1
        try:
            self._push(parcel)
        except MasterRefused as refused:
            if may_pass(refused) or refused.status == UNAUTHENTICATED:
                return self._later(parcel, refused)
            log.warning("attempt %s is not wanted any more: %s", parcel.held, refused)
        except (ClientError, OutputAway) as error:
            return self._later(parcel, error)
        except _Unwanted:
            log.info(
                "attempt %s was taken from this node: %s", parcel.held, parcel.held.stop_reason
            )
        self._forget(parcel)
        return True

    def _push(self, parcel: Parcel) -> None:
        if parcel.journal.phase is Phase.ENCODED:
            self._commit(parcel)
        if parcel.journal.phase is Phase.COMMITTED:
            self._publish(parcel)
        self._report(parcel)

    def _commit(self, parcel: Parcel) -> None:
        _check_wanted(parcel.held)
        journal = parcel.journal
        parcel.held.progress = Progress(
            phase="committing", fraction=1.0, mark=f"committing {parcel.tries}"
        )
        # Read before it is sent: the lease may have run since the master wrote its answer.
        sent_at = self._now()
        self._client.commit(
            journal.job_id,
            journal.attempt,
            CommitRequest(lease=journal.lease, size=journal.size, sha256=journal.sha256),
        )
        parcel.committed_at = sent_at
        if journal.phase is not Phase.COMMITTED:
            self._record(parcel, journal.model_copy(update={"phase": Phase.COMMITTED}))

    def _publish(self, parcel: Parcel) -> None:
        if self._commit_is_old(parcel):
            self._commit(parcel)
        _check_wanted(parcel.held)
        journal = parcel.journal
        try:
            if journal.temporary is None:
                pass  # an earlier attempt's was adopted
            elif journal.location is None:
                publish_locally(journal, journal.temporary)
            else:
                self._send_away(parcel, journal.temporary, journal.location)
        except AttemptFailed as failure:
            discard(journal.temporary)
            self._leave_nothing_sent(parcel.journal)
            self._record(parcel, failed(parcel.journal, failure))
            return
        self._record(parcel, parcel.journal.model_copy(update={"phase": Phase.PUBLISHED}))
        if journal.location is not None:
            discard(journal.temporary)  # what was sent away is no use here, whoever hears of it

    def _send_away(self, parcel: Parcel, temporary: Path, location: str) -> None:
        def record(upload: Upload) -> None:
            parcel.away_since = None
            self._record(parcel, parcel.journal.model_copy(update={"upload": upload}))

        def confirm() -> None:
            if self._commit_is_old(parcel):
                self._commit(parcel)

        def check() -> None:
            _check_wanted(parcel.held)

        sending = Sending(
            parcel.held, lambda: parcel.journal, record=record, confirm=confirm, check=check
        )
        try:
            sending.send(self._stores, temporary, location)
        except OutputAway as away:
            now = self._now()
            parcel.away_since = now if parcel.away_since is None else parcel.away_since
            if now - parcel.away_since > self._sending_patience_seconds:
                raise AttemptFailed(FailureClass.CONNECTION, str(away)) from away
            raise

    def _commit_is_old(self, parcel: Parcel) -> bool:
        """A process that slept since its commit was answered may have lost the lease meanwhile."""
        if parcel.committed_at is None:
            return True
        return self._now() - parcel.committed_at > self._node_timeout_seconds() / 2

    def _report(self, parcel: Parcel) -> None:
        body = parcel.journal.result
        if body is None:
            raise ValueError(f"attempt {parcel.held} has no result to report")
        with span("Send Job Results", parent=parcel.journal.trace_parent):
            try:
                self._client.report(body)
            except MasterRefused as refused:
                if refused.status not in UNACCEPTABLE:
                    raise
                # The end of the attempt matters more than its story.
                log.error("the master refuses the details of %s: %s", parcel.held, refused)
                self._client.report(body.model_copy(update={"logs": "", "metrics": {}, "argv": []}))
        log.info("attempt %s reported as %s", parcel.held, body.status)

    def _later(self, parcel: Parcel, error: ClientError | OutputAway) -> bool:
        parcel.held.progress = Progress(
            phase="delivering", fraction=1.0, mark=f"delivering {parcel.tries}"
        )
        log.info("attempt %s is not delivered yet: %s", parcel.held, error)
        return False

    def _record(self, parcel: Parcel, journal: Journal) -> None:
        parcel.journal = journal
        try:
            self._spool.save(journal)
        except OSError:
            # Without the disk the work is still delivered, only not by the next process.
            log.exception("cannot write the journal of %s", parcel.held)

    def _leave_nothing_sent(self, journal: Journal) -> None:
        if journal.location is not None and journal.upload.ids and not journal.is_ended:
            self._stores.abandon(journal.location, journal.upload)

    def _forget(self, parcel: Parcel) -> None:
        self._leave_nothing_sent(parcel.journal)
        discard(parcel.journal.temporary)
        self._ledger.remove(parcel.held)
        self._spool.remove(parcel.journal)


class _Unwanted(Exception):  # noqa: N818
    """The master ordered the attempt to end before it was committed or published."""


def _check_wanted(held: Held) -> None:
    # Finished work is not given back when the agent drains: the next process delivers it.
    if held.stop_reason in (StopReason.CANCELED, StopReason.GONE):
        raise _Unwanted


def failed(journal: Journal, failure: AttemptFailed) -> Journal:
    """The journal of an attempt that ended in this failure."""
    if journal.result is None:
        raise ValueError("a failed attempt needs a result to say so")
    result = journal.result.model_copy(
        update={
            "status": "failed",
            "failure_reason": failure.failure_class,
            "error": failure.message[:8192],
            "sha256": None,
            "size": None,
        }
    )
    return journal.model_copy(update={"phase": Phase.FAILED, "result": result})
