"""Telling the master that this node lives and what it does, and obeying the answer."""

import logging
import threading
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from ffrtmp.client import ClientError, MasterRefused
from ffrtmp.domain.attempt import Order
from ffrtmp.schemas import Heartbeat, HeartbeatAnswer
from workers.clock import boot_seconds, date_now, skew_seconds
from workers.ledger import Held, Ledger, StopReason, sure_seconds
from workers.registration import Registrar, must_register_again
from workers.tracing import span

MIN_GAP_SECONDS = 0.2
REASONS = {Order.CANCEL: StopReason.CANCELED, Order.GONE: StopReason.GONE}
log = logging.getLogger(__name__)


class HeartbeatClient(Protocol):
    """What a heartbeat needs of the master's client: its own connection, the node token."""

    def heartbeat(self, node_id: str, body: Heartbeat) -> HeartbeatAnswer:
        """POST /nodes/{id}/heartbeat."""
        ...


class Heart:
    """Beats every ``idle_seconds``, every ``busy_seconds`` while attempts are held, or at once.

    ``on_answer`` hears every answer, for what it says of the node and its devices; the orders for
    attempts are carried out here.
    """

    def __init__(
        self,
        *,
        client: HeartbeatClient,
        registrar: Registrar,
        ledger: Ledger,
        load: Callable[[], Mapping[str, Any]],
        slots_lost: Callable[[], int],
        idle_seconds: float,
        busy_seconds: float,
        on_answer: Callable[[HeartbeatAnswer], None],
    ) -> None:
        self._client = client
        self._registrar = registrar
        self._ledger = ledger
        self._load = load
        self._slots_lost = slots_lost
        self._idle_seconds = idle_seconds
        self._busy_seconds = min(busy_seconds, idle_seconds)
        self._on_answer = on_answer
        self._asked = threading.Event()
        self._skew_seconds = 0.0

    def beat_now(self) -> None:
        """Do not wait for the interval."""
        self._asked.set()

    def run(self, stop: threading.Event) -> None:
        """Beat until stopped, never more often than every MIN_GAP_SECONDS."""
        while not stop.is_set():
            self._asked.clear()
            is_heard = self.beat()
            stop.wait(MIN_GAP_SECONDS)
            self._asked.wait(self._pause(is_heard) - MIN_GAP_SECONDS)

    def beat(self) -> bool:
        """Send one heartbeat and carry out its orders; False where no answer came."""
        epoch = self._registrar.session.epoch
        snapshot = self._ledger.build_heartbeat()
        body = Heartbeat(
            epoch=epoch,
            seq=snapshot.seq,
            attempts=[held.beat(snapshot.seq) for held in snapshot.attempts],
            claims_in_flight=list(snapshot.claims_in_flight),
            load=dict(self._load()),
            clock_skew_seconds=self._skew_seconds,
            slots_lost=self._slots_lost(),
        )
        # Before it is sent: the master may have renewed the leases long before it is heard.
        sent_at = boot_seconds()
        try:
            with span("Send Heartbeat"):
                answer = self._client.heartbeat(self._registrar.session.node_id, body)
        except MasterRefused as refused:
            return self._refused(refused, epoch)
        except ClientError as error:
            log.warning("no answer to heartbeat %d: %s", snapshot.seq, error)
            return False
        if answer.at is not None:
            self._skew_seconds = skew_seconds(
                date_now(), answer.at, round_trip_seconds=boot_seconds() - sent_at
            )
        self._obey(answer, lease_until=sent_at + sure_seconds(answer.node_timeout_seconds))
        return True

    def _pause(self, is_heard: bool) -> float:
        is_busy = bool(self._ledger.attempts()) or not is_heard
        return max(MIN_GAP_SECONDS, self._busy_seconds if is_busy else self._idle_seconds)

    def _refused(self, refused: MasterRefused, epoch: int) -> bool:
        log.warning("heartbeat refused: %s", refused)
        if must_register_again(refused):
            try:
                self._registrar.renew(epoch)
                self.beat_now()
            except ClientError as error:
                log.warning("cannot register again yet: %s", error)
        return False

    def _obey(self, answer: HeartbeatAnswer, *, lease_until: float) -> None:
        self._on_answer(answer)
        for order in answer.attempts:
            held = self._ledger.find(order.job_id, order.attempt)
            if held is not None:
                _carry_out(order.order, held, lease_until)


def _carry_out(order: Order, held: Held, lease_until: float) -> None:
    reason = REASONS.get(order)
    if reason is None:
        held.renew(lease_until)
        if order is Order.PAUSE:
            held.suspension.pause()
        else:
            held.suspension.go_on()
    elif held.stop_reason is None:
        log.info("attempt %s is ordered to stop: %s", held, reason)
        held.stop(reason)
