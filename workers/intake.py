"""From a hint to a running attempt: a slot, a claim, the run."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from ffrtmp.schemas import ClaimAnswer
from workers.claims import Claims
from workers.ledger import Held, StopReason
from workers.slots import Slots
from workers.threads import start_thread

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who hears of an attempt that started or ended, of a slot that opened, and whether a hint
    became an attempt."""

    on_change: Callable[[], None]
    on_free_slot: Callable[[], None]
    on_hint: Callable[[bool], None]


class Intake:
    """Takes hints until ``closing``. ``has_room`` says whether the disk can hold an output.

    ``run`` runs an attempt and returns the thread it had to leave behind, if any: the slot is
    written off until that thread ends.
    """

    def __init__(
        self,
        *,
        slots: Slots,
        claims: Claims,
        run: Callable[[ClaimAnswer, Held], threading.Thread | None],
        has_room: Callable[[], bool],
        closing: threading.Event,
        listeners: Listeners,
    ) -> None:
        self._slots = slots
        self._claims = claims
        self._run = run
        self._has_room = has_room
        self._listeners = listeners
        self._closing = closing
        self._draining = False

    @property
    def accepts(self) -> bool:
        """True while hints may become attempts."""
        return not (self._closing.is_set() or self._draining)

    def set_draining(self, is_draining: bool) -> None:
        """What the master ordered."""
        self._draining = is_draining

    def take_hint(
        self, job_id: str, *, is_wanted: Callable[[], bool], trace_parent: str | None = None
    ) -> None:
        """Serve one hint to the end of its attempt; ``is_wanted`` turns false when its sender
        is gone, and then nothing is claimed for it."""
        while self.accepts and is_wanted():
            if self._has_room() and self._slots.try_take():
                self._fill_slot(job_id, trace_parent, is_wanted)
                return
            self._slots.wait_for_change()

    def start_unasked(self) -> bool:
        """Fill one free slot without a hint, in the background; False where there is nothing."""
        if not (self.accepts and self._has_room() and self._slots.try_take()):
            return False
        try:
            taken = self._claims.take(None)
        except BaseException:
            self._slots.give_back()
            raise
        if taken is None:
            self._slots.give_back()
            return False
        start_thread(f"attempt {taken[1]}", lambda: self._run_in_slot(*taken))
        return True

    def _fill_slot(
        self, job_id: str, trace_parent: str | None, is_wanted: Callable[[], bool]
    ) -> None:
        try:
            taken = self._claims.take(job_id, trace_parent=trace_parent) if is_wanted() else None
        except BaseException:
            self._slots.give_back()
            raise
        self._listeners.on_hint(taken is not None)
        if taken is None:
            self._slots.give_back()
        else:
            self._run_in_slot(*taken)

    def _run_in_slot(self, claim: ClaimAnswer, held: Held) -> None:
        left: threading.Thread | None = None
        try:
            if self._closing.is_set():
                held.stop(StopReason.RELEASED)
            self._listeners.on_change()
            left = self._run(claim, held)
        finally:
            if left is None:
                self._slots.give_back()
            else:
                self._write_off(left, held)
            self._listeners.on_change()
            self._listeners.on_free_slot()

    def _write_off(self, left: threading.Thread, held: Held) -> None:
        self._slots.write_off()
        log.error(
            "attempt %s cannot be ended; its slot is written off, %d of %d are",
            held,
            self._slots.lost,
            self._slots.count,
        )

        def recover() -> None:
            left.join()
            self._slots.recover()
            log.warning("what was left of attempt %s has ended; its slot is open again", held)
            self._listeners.on_change()
            self._listeners.on_free_slot()

        start_thread(f"late {held}", recover)
