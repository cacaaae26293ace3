"""Whose credential it is: a named key, the key of the settings, or a node's token."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ffrtmp.domain.access import (
    ANYONE,
    BOOTSTRAP,
    NO_HASH,
    Caller,
    Refusal,
    hash_of,
    is_same,
)
from ffrtmp.domain.errors import FarmError, Unauthenticated
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.key import Key, KeyState, prefix_of
from ffrtmp.domain.node import Node
from ffrtmp.services.context import Context
from ffrtmp.services.nodes import refuse_revoked
from ffrtmp.store.engine import Transaction

log = logging.getLogger(__name__)

USELESS = {
    KeyState.EXPIRED: (Refusal.EXPIRED, "this key has expired; have it rotated"),
    KeyState.REVOKED: (Refusal.REVOKED, "this key was revoked; ask for another"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """Requests that were not let in, from one address, or with None from so many."""

    address: str | None
    addresses: int
    reasons: Mapping[Refusal, int]
    names: Sequence[str]
    """Keys and nodes they came from, as far as that was known."""


class AccessService:
    """Tells credentials apart. What is wrong is refused alike, whatever it resembles."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def identify(
        self, credential: str | None, *, bootstrap: str | None, is_guess: bool = False
    ) -> Caller | Node:
        """Who speaks; Unauthenticated for nobody.

        ``bootstrap`` is the hash of the key in the settings. Without it, and where no key was
        ever made, whoever is unknown is ANYONE. What may be a guess is not compared with that
        key, the only one that a person may have thought of.
        """
        if credential is not None:
            given = hash_of(credential)
            is_bootstrap = is_same(given, bootstrap or NO_HASH)
            if is_bootstrap and not is_guess:
                return BOOTSTRAP
            found = self._of_key(credential, given) or self._of_node(given)
            if found is not None:
                return found
        if bootstrap is None and self._is_open():
            return ANYONE
        if credential is None:
            raise Unauthenticated(
                "a credential is needed: Authorization: Bearer KEY", reason=Refusal.MISSING
            )
        raise Unauthenticated("this credential is unknown")

    def note_refused(self, refused: Sequence[Refused]) -> None:
        """Write what was not let in to the history."""
        now = self._context.now()
        with self._context.store.write() as tx:
            tx.events.append(
                *(Event(kind=EventKind.ACCESS_REFUSED, at=now, data=_facts(one)) for one in refused)
            )

    def _of_key(self, credential: str, given: str) -> Caller | None:
        prefix = prefix_of(credential)
        if prefix is None:
            return None
        with self._context.store.read() as tx:
            key = tx.keys.of_prefix(prefix)
        # An unknown prefix costs the same comparison as a known one.
        is_right = is_same(given, NO_HASH if key is None else key.hash)
        return self._caller_of(key) if key is not None and is_right else None

    def _caller_of(self, key: Key) -> Caller:
        now = self._context.now()
        if (state := key.state(now)) in USELESS:
            reason, message = USELESS[state]
            raise Unauthenticated(message, reason=reason, name=key.name)
        if key.is_use_worth_noting(now):
            self._note_use(key)
        return key.caller

    def _note_use(self, key: Key) -> None:
        try:
            with self._context.store.write() as tx:
                tx.keys.note_use(key.prefix, now=self._context.now())
        except FarmError as error:
            # Who only looks is let in also while nothing can be written.
            log.warning("the use of key %s was not noted: %s", key.name, error)

    def _of_node(self, given: str) -> Node | None:
        # A unique index finds the hash. The time that takes may tell how much of a hash is like
        # another, and a hash tells nothing of its token: whoever guesses cannot steer towards it.
        with self._context.store.read() as tx:
            node = tx.nodes.with_token(given)
        if node is not None:
            refuse_revoked(node)
        return node

    def _is_open(self) -> bool:
        with self._context.store.read() as tx:
            return _never_had_keys(tx)


def _facts(refused: Refused) -> Mapping[str, object]:
    return {
        "address": refused.address,
        "addresses": refused.addresses,
        "count": sum(refused.reasons.values()),
        "reasons": dict(refused.reasons),
        "names": list(refused.names),
    }


def _never_had_keys(tx: Transaction) -> bool:
    # Also keys that ended count: the door does not open again because the last one expired.
    return not tx.keys.is_any()
