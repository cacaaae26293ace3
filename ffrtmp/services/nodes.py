"""What nodes and people do with nodes: register, beat, drain, remove, look."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy.exc import IntegrityError

from ffrtmp.domain.access import ANYONE, Refusal, is_same
from ffrtmp.domain.attempt import Attempt, AttemptProgress, Order, Outcome
from ffrtmp.domain.breaker import WHOLE_NODE
from ffrtmp.domain.errors import (
    AddressTaken,
    FarmFull,
    Forbidden,
    NodeHasWork,
    NotFound,
    StaleEpoch,
    Unauthenticated,
)
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.node import Node, Registration
from ffrtmp.domain.retry import FailureClass
from ffrtmp.services.context import Context
from ffrtmp.services.endings import Ending, end_attempt
from ffrtmp.services.room import canaries_due
from ffrtmp.store.engine import Transaction

FULL_SECONDS = 60.0
log = logging.getLogger(__name__)

KEPT = (Order.GO_ON, Order.PAUSE)
"""Orders under which an attempt stays its node's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NodeView:
    """A node with the leases it holds."""

    node: Node
    held: Sequence[Attempt]


@dataclass(frozen=True, slots=True, kw_only=True)
class Registered:
    """The node after registration; ``refused`` of what it said it holds is not its own any more."""

    view: NodeView
    is_new: bool
    refused: Sequence[tuple[str, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Beat:
    """A heartbeat: ``seq`` counts those this process built, this one included."""

    node_id: str
    epoch: int
    seq: int
    attempts: Sequence[AttemptProgress]
    claims_in_flight: frozenset[str]
    load: Mapping[str, Any] = field(default_factory=dict)
    clock_skew_seconds: float = 0.0
    slots_lost: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class BeatAnswer:
    """The order for each listed attempt, in the order listed, whether to take nothing new, which
    devices are set aside, and which of all may claim one job nevertheless."""

    orders: Sequence[tuple[AttemptProgress, Order]]
    drain: bool
    devices_aside: Sequence[str]
    canaries: Sequence[str]


class NodeService:
    """Verbs on nodes; a ``reference`` is an id, an address or a name."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def register(self, said: Registration) -> Registered:
        """Make or renew a node; what an older epoch holds and does not name is lost.

        The same ``registration_id`` again changes nothing and is answered the same. AddressTaken
        for another identity at the address, Forbidden for a wrong token, StaleEpoch for one that
        comes later than a newer one, FarmFull for one node too many.
        """
        try:
            return self._register(said)
        except IntegrityError:
            # Two registrations at once: the loser now sees the winner.
            return self._register(said)

    def heartbeat(self, beat: Beat) -> BeatAnswer:
        """Renew the listed leases, note progress, and say what becomes of each attempt.

        One that is not newer than all that were heard is only answered.
        """
        with self._context.store.write() as tx:
            node = _locked(tx, beat.node_id)
            refuse_revoked(node)
            if node.epoch != beat.epoch:
                raise StaleEpoch(f"node {node.name} has registered again since")
            is_newest = beat.seq > node.heartbeat_seq
            farm_seconds = self._context.farm_seconds(tx)
            if is_newest:
                self._hear(tx, node, beat, farm_seconds)
            orders = [
                (said, self._order(tx, node, said, farm_seconds, is_news=is_newest))
                for said in beat.attempts
            ]
            if is_newest:
                self._note_omissions(tx, node, beat)
            return BeatAnswer(
                orders=orders,
                drain=node.is_draining,
                devices_aside=[one.id for one in node.devices if one.id in node.set_aside],
                canaries=self._canaries(tx, node, farm_seconds),
            )

    def drain(self, reference: str, *, reason: str | None, by: str = ANYONE.name) -> NodeView:
        """Nothing new for this node; what runs finishes."""
        view = self._set_draining(reference, is_draining=True, reason=reason, by=by)
        self._context.bell.nudge(view.node.id)
        return view

    def undrain(self, reference: str, *, by: str = ANYONE.name) -> NodeView:
        """The node takes work again."""
        view = self._set_draining(reference, is_draining=False, reason=None, by=by)
        self._context.bell.nudge(view.node.id)
        return view

    def remove(self, reference: str, *, by: str = ANYONE.name) -> None:
        """Forget a node; NodeHasWork while it holds a lease."""
        with self._context.store.write() as tx:
            node = _locked(tx, _found(tx, reference).id)
            held = tx.attempts.count_live(node.id)
            if held:
                raise NodeHasWork(f"node {node.name} runs {held} attempts; drain it first")
            tx.nodes.delete(node.id)
            tx.events.append(self._event(EventKind.NODE_REMOVED, node, by=by))

    def revoke(self, reference: str, *, by: str = ANYONE.name) -> NodeView:
        """Its token opens nothing any more, and what it holds is given back; twice is once.

        What it has committed is not adopted: nobody vouches for its files now.
        """
        with self._context.store.write() as tx:
            node = _locked(tx, _found(tx, reference).id)
            if node.revoked_at is None:
                tx.nodes.revoke(node.id, now=self._context.now())
                for attempt in tx.attempts.live_on(node.id):
                    self._end(tx, attempt, _taken_from(node))
                tx.events.append(self._event(EventKind.NODE_REVOKED, node, by=by))
        return self.get(node.id)

    def get(self, reference: str) -> NodeView:
        """The node and its leases; NotFound."""
        with self._context.store.read() as tx:
            node = _found(tx, reference)
            return NodeView(node=node, held=tx.attempts.live_on(node.id))

    def list(self) -> Sequence[NodeView]:
        """Every node by name."""
        with self._context.store.read() as tx:
            held = tx.attempts.live_by_node()
            return [NodeView(node=node, held=held.get(node.id, ())) for node in tx.nodes.every()]

    def with_token(self, token_hash: str) -> Node | None:
        """The node a token speaks for."""
        with self._context.store.read() as tx:
            return tx.nodes.with_token(token_hash)

    def _register(self, said: Registration) -> Registered:
        with self._context.store.write() as tx:
            neighbour = tx.nodes.at_address(said.address)
            if neighbour is not None and neighbour.id != said.node_id:
                raise AddressTaken(
                    f"Node with address {said.address} is already registered", field="address"
                )
            owner = tx.nodes.with_token(said.token_hash)
            if owner is not None and owner.id != said.node_id:
                raise Forbidden("this node_token belongs to another node_id")
            known = tx.nodes.lock(said.node_id)
            if known is not None and not is_same(known.token_hash, said.token_hash):
                raise Forbidden("this node_id is registered with another node_token")
            if known is not None and known.revoked_at is not None:
                raise Forbidden(
                    f"node {known.name} was revoked; remove it, then it registers as a new one"
                )
            if known is None or not _is_repeat(said, known):
                _check_newest(said, known)
                self._begin_epoch(tx, said, is_new=known is None)
            node = _found(tx, said.node_id)
            held = tx.attempts.live_on(node.id)
            refused = sorted(
                (job_id, number)
                for job_id, number in said.holding
                if _order_of(tx.attempts.get(job_id, number), node) not in KEPT
            )
        return Registered(
            view=NodeView(node=node, held=held), is_new=known is None, refused=refused
        )

    def _begin_epoch(self, tx: Transaction, said: Registration, *, is_new: bool) -> None:
        now, farm_seconds = self._context.now(), self._context.farm_seconds(tx)
        if is_new:
            self._check_room(tx)
            tx.nodes.insert(said, farm_seconds=farm_seconds, now=now)
        else:
            tx.nodes.register_again(said, farm_seconds=farm_seconds, now=now)
            self._lose_unnamed(tx, said)
        node = _found(tx, said.node_id)
        tx.events.append(self._event(EventKind.NODE_REGISTERED, node, epoch=node.epoch))

    def _check_room(self, tx: Transaction) -> None:
        most = self._context.policy.max_nodes
        if most is not None and tx.nodes.count() >= most:
            raise FarmFull(
                f"the farm has {most} nodes, and no more may register; remove some",
                retry_after_seconds=FULL_SECONDS,
            )

    def _lose_unnamed(self, tx: Transaction, said: Registration) -> None:
        for attempt in tx.attempts.live_on(said.node_id):
            if (attempt.job_id, attempt.number) not in said.holding:
                self._lose(tx, attempt, "the agent restarted without it")

    def _hear(self, tx: Transaction, node: Node, beat: Beat, farm_seconds: float) -> None:
        now = self._context.now()
        tx.nodes.hear(
            node.id,
            seq=beat.seq,
            load=beat.load,
            clock_skew_seconds=beat.clock_skew_seconds,
            slots_lost=beat.slots_lost,
            farm_seconds=farm_seconds,
            now=now,
        )
        if node.is_offline:
            tx.events.append(self._event(EventKind.NODE_ONLINE, node))
        heard = replace(node, clock_skew_seconds=beat.clock_skew_seconds)
        if heard.has_wrong_clock and not node.has_wrong_clock:
            log.warning(
                "the clock of node %s is %.0f s %s this master's",
                node.name,
                abs(heard.clock_skew_seconds),
                "ahead of" if heard.clock_skew_seconds > 0 else "behind",
            )

    def _order(
        self,
        tx: Transaction,
        node: Node,
        said: AttemptProgress,
        farm_seconds: float,
        *,
        is_news: bool,
    ) -> Order:
        order = None
        if is_news:
            order = tx.attempts.note_progress(
                said,
                node_id=node.id,
                expires_farm=farm_seconds + self._context.policy.node_timeout_seconds,
                farm_seconds=farm_seconds,
            )
        return order or _order_of(tx.attempts.get(said.job_id, said.number), node)

    def _canaries(self, tx: Transaction, node: Node, farm_seconds: float) -> Sequence[str]:
        if not node.set_aside:
            return ()
        after = self._context.policy.canary_after_seconds
        held = tx.attempts.live_on(node.id)
        return canaries_due(node, held, farm_seconds=farm_seconds, after_seconds=after)

    def _note_omissions(self, tx: Transaction, node: Node, beat: Beat) -> None:
        listed = {(said.job_id, said.number) for said in beat.attempts}
        for attempt in tx.attempts.live_on(node.id):
            if (attempt.job_id, attempt.number) in listed:
                continue
            if attempt.claim_id in beat.claims_in_flight or beat.seq <= attempt.claimed_after:
                continue
            # Job before attempt, as every other writer locks them.
            tx.jobs.lock(attempt.job_id)
            if tx.attempts.omit(attempt) >= self._context.policy.omissions_until_lost:
                self._end_omitted(tx, attempt)

    def _end_omitted(self, tx: Transaction, attempt: Attempt) -> None:
        if attempt.was_listed:
            self._lose(tx, attempt, "the node no longer lists it")
            return
        # Its claim came late, when the node asked no more: nothing ran, so nothing is spent.
        error = f"node {attempt.node_name} never heard of it"
        self._end(tx, attempt, Ending(outcome=Outcome.RELEASED, error=error, confirmed=True))

    def _lose(self, tx: Transaction, attempt: Attempt, error: str) -> None:
        ending = Ending(
            outcome=Outcome.NODE_LOST,
            failure=FailureClass.NODE_LOST,
            error=f"node {attempt.node_name}: {error}",
            confirmed=True,
        )
        self._end(tx, attempt, ending)

    def _end(self, tx: Transaction, attempt: Attempt, ending: Ending) -> None:
        job = tx.jobs.lock(attempt.job_id)
        if job is not None:
            end_attempt(self._context, tx, job, attempt, ending)

    def _set_draining(
        self, reference: str, *, is_draining: bool, reason: str | None, by: str
    ) -> NodeView:
        with self._context.store.write() as tx:
            node = _locked(tx, _found(tx, reference).id)
            if node.is_draining != is_draining:
                kind = EventKind.NODE_DRAINING if is_draining else EventKind.NODE_UNDRAINED
                tx.events.append(self._event(kind, node, reason=reason, by=by))
            tx.nodes.set_draining(node.id, is_draining=is_draining, reason=reason)
            if is_draining:
                # An operator's drain ends with the operator's word, not with a canary.
                kept = {name: one for name, one in node.set_aside.items() if name != WHOLE_NODE}
                tx.nodes.set_aside(node.id, kept)
            else:
                tx.nodes.trust(node.id, farm_seconds=self._context.farm_seconds(tx))
        return self.get(node.id)

    def _event(self, kind: EventKind, node: Node, **data: object) -> Event:
        return Event(
            kind=kind, at=self._context.now(), node_id=node.id, data={"name": node.name} | data
        )


def refuse_revoked(node: Node) -> None:
    """Unauthenticated for a node that was revoked while its request was on the way."""
    if node.revoked_at is not None:
        raise Unauthenticated(
            "this node's token was revoked", reason=Refusal.REVOKED, name=node.name
        )


def _taken_from(node: Node) -> Ending:
    # Not confirmed: it may go on publishing a stream until its lease is over.
    return Ending(
        outcome=Outcome.RELEASED,
        error=f"node {node.name} was revoked",
        facts={"size_bytes": None, "sha256": None},
    )


def _order_of(attempt: Attempt | None, node: Node) -> Order:
    if attempt is None or attempt.node_id != node.id:
        return Order.GONE
    if attempt.outcome is Outcome.CANCELED:
        return Order.CANCEL
    if attempt.is_live and attempt.pause is not None:
        return Order.PAUSE
    # Completed: its own report was accepted and the answer got lost; there is nothing to undo.
    is_wanted = attempt.is_live or attempt.outcome is Outcome.COMPLETED
    return Order.GO_ON if is_wanted else Order.GONE


def _check_newest(said: Registration, known: Node | None) -> None:
    epoch = 0 if known is None else known.epoch
    if said.known_epoch not in (None, epoch):
        raise StaleEpoch(
            f"node {said.name} is at epoch {epoch}, this registration follows {said.known_epoch}"
        )


def _is_repeat(said: Registration, known: Node) -> bool:
    return said.registration_id is not None and said.registration_id == known.registration_id


def _found(tx: Transaction, reference: str) -> Node:
    node = tx.nodes.get(reference) or tx.nodes.at_address(reference) or tx.nodes.named(reference)
    if node is None:
        raise NotFound(f"there is no node {reference}")
    return node


def _locked(tx: Transaction, node_id: str) -> Node:
    node = tx.nodes.lock(node_id)
    if node is None:
        raise NotFound(f"there is no node {node_id}")
    return node
