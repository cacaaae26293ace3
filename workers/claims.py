"""Asking the master for work: one claim id from the first question to the answer."""

import logging
import threading
from collections.abc import Callable
from typing import Protocol

from ffrtmp.client import ClientError, MasterRefused
from ffrtmp.schemas import ClaimAnswer, ClaimRequest
from workers.backoff import jittered_delays
from workers.clock import boot_seconds
from workers.ledger import Claim, Held, Ledger, sure_seconds
from workers.registration import Registrar, may_pass, must_register_again
from workers.slots import Slot
from workers.tracing import span

REFUSED_PAUSE_SECONDS = 1.0
log = logging.getLogger(__name__)


class ClaimClient(Protocol):
    """What claiming needs of the master's client; its key is the node token."""

    def claim(self, body: ClaimRequest) -> ClaimAnswer | None:
        """POST /claims."""
        ...


class Claims:
    """Turns slots into attempts. ``stop`` ends the waiting for a master that is away;
    ``on_nothing`` hears of an answer that a heartbeat explains: the node is refused, or gets
    nothing while one of its own attempts could go on in the slot."""

    def __init__(
        self,
        *,
        client: ClaimClient,
        registrar: Registrar,
        ledger: Ledger,
        stop: threading.Event,
        on_nothing: Callable[[], None],
    ) -> None:
        self._client = client
        self._registrar = registrar
        self._ledger = ledger
        self._stop = stop
        self._on_nothing = on_nothing

    def take(
        self, slot: Slot, hinted_job_id: str | None = None, *, trace_parent: str | None = None
    ) -> tuple[ClaimAnswer, Held] | None:
        """The best job for a slot that was taken, already in the ledger; None where there is none.

        Waits for as long as the master cannot be reached, so a hint is not spent on an outage.
        ``trace_parent`` is the hint's: the claim is a step of the trace that rang it.
        """
        claim = self._ledger.begin_claim()
        # The first question may be the one that opened the lease, though a later one is answered.
        asked_at = boot_seconds()
        try:
            with span("Get Next Job", parent=trace_parent):
                answer = self._ask(claim, slot, hinted_job_id)
            if answer is None:
                return None
            timeout = self._registrar.session.node_timeout_seconds
            held = Held(
                job_id=answer.job_id,
                number=answer.attempt,
                lease=answer.lease,
                lease_until=asked_at + sure_seconds(timeout),
            )
            self._ledger.admit(held, claim_id=claim.claim_id)
            return answer, held
        finally:
            self._ledger.end_claim(claim.claim_id)

    def _ask(self, claim: Claim, slot: Slot, hinted_job_id: str | None) -> ClaimAnswer | None:
        for delay in jittered_delays(base_seconds=0.2, cap_seconds=5.0):
            epoch = self._registrar.session.epoch
            try:
                answer = self._client.claim(self._request(claim, epoch, slot, hinted_job_id))
                if answer is None and self._ledger.has_suspended:
                    self._on_nothing()
                return answer
            except MasterRefused as refused:
                if not self._is_worth_asking_again(refused, epoch):
                    return None
            except ClientError as error:
                log.info("claim %s waits for the master: %s", claim.claim_id, error)
            if self._stop.wait(delay):
                return None
        return None

    def _request(
        self, claim: Claim, epoch: int, slot: Slot, hinted_job_id: str | None
    ) -> ClaimRequest:
        return ClaimRequest(
            node_id=self._registrar.session.node_id,
            epoch=epoch,
            claim_id=claim.claim_id,
            heartbeat_seq=claim.heartbeat_seq,
            job_id=hinted_job_id,
            device=slot.device,
            is_reserved=slot.is_reserved,
        )

    def _is_worth_asking_again(self, refused: MasterRefused, epoch: int) -> bool:
        if must_register_again(refused):
            try:
                self._registrar.renew(epoch)
            except ClientError as error:
                log.info("cannot register again yet: %s", error)
            return True
        if may_pass(refused):
            return True
        log.info("claim dropped: %s", refused)
        # Not at once: a node that gets nothing must not burn through the queue's hints.
        self._on_nothing()
        self._stop.wait(REFUSED_PAUSE_SECONDS)
        return False
