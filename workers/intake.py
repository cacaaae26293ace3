"""From a hint to a running attempt: a slot, a claim, the run."""

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass

from ffrtmp.schemas import ClaimAnswer
from workers.claims import Claims
from workers.ledger import Held, StopReason
from workers.pools import Pool
from workers.slots import Slot, Slots
from workers.threads import start_thread

Taken = tuple[ClaimAnswer, Held]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Listeners:
    """Who hears of an attempt that started, ended, stood still or went on, of a slot that opened,
    and whether a hint became an attempt."""

    on_change: Callable[[], None]
    on_free_slot: Callable[[Pool], None]
    on_hint: Callable[[bool], None]


class Intake:
    """Takes hints until ``closing``. ``has_room`` says whether the disk can hold an output.

    ``run`` runs an attempt and returns the thread it had to leave behind, if any: the slot is
    written off until that thread ends. Each attempt has a thread of its own, so that whoever
    brought it waits no longer than it is in its slot.
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
        self,
        pool: Pool,
        job_id: str,
        *,
        is_wanted: Callable[[], bool],
        trace_parent: str | None = None,
    ) -> None:
        """Serve one hint until its attempt has left its slot, by its end or by a pause;
        ``is_wanted`` turns false when its sender is gone, and then nothing is claimed for it."""

        def ask(slot: Slot) -> Taken | None:
            return (
                self._claims.take(slot, job_id, trace_parent=trace_parent) if is_wanted() else None
            )

        while self.accepts and is_wanted():
            if self._has_room() and (slot := self._slots.try_take(pool)):
                left = self._fill(slot, ask)
                self._listeners.on_hint(left is not None)
                if left is not None:
                    left.wait()
                return
            self._slots.wait_for_change()

    def start_unasked(self, pool: Pool) -> bool:
        """Fill one free slot without a hint; False where there is nothing."""
        if not (self.accepts and self._has_room()):
            return False
        slot = self._slots.try_take(pool)
        return slot is not None and self._fill(slot, self._claims.take) is not None

    def start_canary(self, device: str) -> bool:
        """Start one job on a device that runs nothing, though it may be set aside or the node
        draining; False where there is nothing."""
        if self._closing.is_set() or not self._has_room():
            return False
        slot = self._slots.try_take_idle(device)
        return slot is not None and self._start(slot, self._claims.take) is not None

    def _fill(self, slot: Slot, ask: Callable[[Slot], Taken | None]) -> threading.Event | None:
        """Start what is claimed for a slot, or else for a slot on another device of its pool:
        devices differ in what they can run, and in what has failed on them."""
        tried: set[str] = set()
        found: Slot | None = slot
        while found is not None:
            left = self._start(found, ask)
            if left is not None:
                return left
            tried.add(found.device)
            found = self._slots.try_take(slot.pool, excluding=tried) if self.accepts else None
        return None

    def _start(self, slot: Slot, ask: Callable[[Slot], Taken | None]) -> threading.Event | None:
        """Set once the attempt has left the slot; None where there was none to start."""
        taken: Taken | None = None
        try:
            taken = ask(slot)
        finally:
            if taken is None:
                self._slots.give_back(slot)
        if taken is None:
            return None
        claim, held = taken
        left = threading.Event()
        start_thread(f"slot of {held}", lambda: self._run_in_slot(slot, claim, held, left))
        return left

    def _run_in_slot(
        self, slot: Slot, claim: ClaimAnswer, held: Held, left: threading.Event
    ) -> None:
        held.suspension.listen(lambda is_suspended: self._change_over(slot, left, is_suspended))
        late: threading.Thread | None = None
        try:
            if self._closing.is_set():
                held.stop(StopReason.RELEASED)
            self._listeners.on_change()
            late = self._run(claim, held)
        finally:
            held.suspension.end()
            if late is None:
                self._slots.give_back(slot)
            else:
                self._write_off(slot, late, held)
            left.set()
            self._tell_of_free_slot(slot)

    def _change_over(self, slot: Slot, left: threading.Event, is_suspended: bool) -> None:
        if not is_suspended:
            self._slots.take_anyway(slot)
            self._listeners.on_change()
            return
        self._slots.give_back(slot)
        left.set()
        self._tell_of_free_slot(slot)

    def _tell_of_free_slot(self, slot: Slot) -> None:
        self._listeners.on_change()
        self._listeners.on_free_slot(slot.pool)

    def _write_off(self, slot: Slot, late: threading.Thread, held: Held) -> None:
        self._slots.write_off(slot)
        log.error(
            "attempt %s cannot be ended; its slot on %s is written off, %d of %d are",
            held,
            slot.device,
            self._slots.lost,
            self._slots.count,
        )

        def recover() -> None:
            late.join()
            self._slots.recover(slot)
            log.warning("what was left of attempt %s has ended; its slot is open again", held)
            self._tell_of_free_slot(slot)

        start_thread(f"late {held}", recover)
