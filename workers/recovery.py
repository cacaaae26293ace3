"""What a new agent process does about the attempts of an earlier one."""

import logging
from collections.abc import Iterable

from ffrtmp.schemas import HeldAttempt
from workers.delivery import Delivery, Parcel
from workers.ffmpeg.started import kill_leftover
from workers.files import discard
from workers.ledger import Held, Ledger, Progress, StopReason
from workers.spool import Journal, Spool

log = logging.getLogger(__name__)


def clear_unfinished(spool: Spool) -> int:
    """Kill and delete what is left of attempts that did not finish; how many there were."""
    unfinished = [journal for journal in spool.journals() if not journal.is_finished]
    for journal in unfinished:
        if journal.pid is not None and journal.start_identity is not None:
            kill_leftover(journal.pid, journal.start_identity)
        discard(journal.temporary)
        spool.remove(journal)
        log.info("removed what was left of attempt %s/%d", journal.job_id, journal.attempt)
    return len(unfinished)


def hold_finished(spool: Spool, ledger: Ledger, delivery: Delivery) -> int:
    """Answer for finished attempts of the spool again; how many there are."""
    finished = [journal for journal in spool.journals() if journal.is_finished]
    for journal in finished:
        held = _held(journal)
        ledger.admit(held)
        delivery.keep(Parcel(held=held, journal=journal))
    return len(finished)


def drop_lost(ledger: Ledger, lost: Iterable[HeldAttempt]) -> None:
    """End attempts the master has given up on; delivery and runner remove their files."""
    for said in lost:
        held = ledger.find(said.job_id, said.attempt)
        if held is not None:
            log.warning("attempt %s is no longer this node's", held)
            held.stop(StopReason.GONE)


def _held(journal: Journal) -> Held:
    held = Held(job_id=journal.job_id, number=journal.attempt, lease=journal.lease)
    held.progress = Progress(phase="delivering", mark="spooled", fraction=1.0)
    return held
