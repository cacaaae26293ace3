"""Becoming a node of the farm, and becoming one again when the master has forgotten the process."""

import logging
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from ffrtmp.client import ClientError, MasterRefused, MasterUnavailable
from ffrtmp.schemas import HeldAttempt, NodeAnswer, NodeRegistration, RegistrationAnswer
from workers.backoff import jittered_delays
from workers.errors import AddressTaken, AgentError, KeyRefused, RegistrationRefused
from workers.tracing import span

UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, SERVER_ERROR = 401, 403, 404, 500
log = logging.getLogger(__name__)


class RegistrationClient(Protocol):
    """What registering needs of the master's client; its key is the API key."""

    def register(self, body: NodeRegistration) -> RegistrationAnswer:
        """POST /nodes/register."""
        ...

    def node(self, node: str) -> NodeAnswer:
        """GET /nodes/{id}."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """What one registration settled."""

    node_id: str
    name: str
    epoch: int
    broker_url: str | None
    node_timeout_seconds: float
    lost: tuple[HeldAttempt, ...]


class Registrar:
    """Registers this process and keeps the session; safe to share between threads.

    ``holding`` names the finished work in the spool; ``on_lost`` is told which attempts of
    earlier epochs are no longer this node's.
    """

    def __init__(
        self,
        *,
        client: RegistrationClient,
        describe: Callable[[], NodeRegistration],
        on_lost: Callable[[tuple[HeldAttempt, ...]], None],
    ) -> None:
        self._client = client
        self._describe = describe
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._session: Session | None = None
        self._registration_id: str | None = None

    @property
    def session(self) -> Session:
        """The present session; only after the first registration."""
        if self._session is None:
            raise AgentError("this agent has not registered yet")
        return self._session

    def register(self, stop: threading.Event) -> Session | None:
        """Register, asking again for as long as the master cannot be reached; None if stopped.

        AgentError where the master refuses this node.
        """
        for delay in jittered_delays(base_seconds=0.2, cap_seconds=5.0):
            try:
                return self._register()
            except ClientError as error:
                log.warning("cannot register yet: %s", error)
            if stop.wait(delay):
                return None
        return None

    def renew(self, stale_epoch: int) -> Session:
        """A session newer than ``stale_epoch``; many threads may ask, one registers.

        ClientError where the master cannot be reached, AgentError where it refuses this node.
        """
        with self._lock:
            if self.session.epoch != stale_epoch:
                return self.session
            log.warning("the master no longer knows epoch %d; registering again", stale_epoch)
            return self._register()

    def _register(self) -> Session:
        # Kept until it is answered: a repeat must not end what the first try began.
        self._registration_id = self._registration_id or uuid.uuid4().hex
        body = self._describe()
        try:
            with span("Register Node"):
                answer = self._client.register(
                    body.model_copy(
                        update={
                            "registration_id": self._registration_id,
                            "known_epoch": self._epoch_of(body),
                        }
                    )
                )
        except MasterUnavailable:
            raise
        except MasterRefused as refused:
            raise _meaning(refused) from refused
        self._registration_id = None
        self._session = _session_of(answer)
        self._on_lost(self._session.lost)
        return self._session

    def _epoch_of(self, body: NodeRegistration) -> int:
        """The node's epoch now; a registration that arrives after a newer one has another."""
        try:
            return self._client.node(body.node_id or "").epoch
        except MasterRefused as refused:
            if refused.status != NOT_FOUND:
                raise
            return 0


def must_register_again(refused: MasterRefused) -> bool:
    """True for the answers of a master that does not know this process any more."""
    return refused.code == "stale_epoch" or refused.status in (UNAUTHENTICATED, NOT_FOUND)


def may_pass(refused: MasterRefused) -> bool:
    """True where the same request may be answered otherwise later."""
    return isinstance(refused, MasterUnavailable) or refused.status >= SERVER_ERROR


def _session_of(answer: RegistrationAnswer) -> Session:
    return Session(
        node_id=answer.id,
        name=answer.name,
        epoch=answer.epoch,
        broker_url=answer.broker_url,
        node_timeout_seconds=answer.node_timeout_seconds,
        lost=tuple(answer.lease_release),
    )


def _meaning(refused: MasterRefused) -> Exception:
    if refused.code == "address_taken":
        return AddressTaken(refused.message)
    if refused.status in (UNAUTHENTICATED, FORBIDDEN):
        return KeyRefused(f"the master refuses this API key: {refused.message}")
    if may_pass(refused) or refused.code == "stale_epoch":
        return refused
    return RegistrationRefused(f"the master refuses this node: {refused}")
