"""What admins do with keys: make, look, rotate, revoke."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

from sqlalchemy.exc import IntegrityError

from ffrtmp.domain.access import RESERVED_NAMES, Role, hash_of
from ffrtmp.domain.errors import InvalidRequest, KeyNameTaken, NotFound
from ffrtmp.domain.event import Event, EventKind
from ffrtmp.domain.key import KEY_PREFIX_LENGTH, Key, KeyState, key_text
from ffrtmp.services.context import Context
from ffrtmp.store.engine import Transaction

SHOWN = 1000
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class NewKey:
    """A key, and the only copy of its text."""

    key: Key
    text: str


class KeyService:
    """Verbs on keys; the text of one exists in the answer that makes it and nowhere else."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def create(self, name: str, role: Role, *, expires_seconds: float | None, by: str) -> NewKey:
        """The first key of a name; KeyNameTaken where it has one that is not revoked."""
        _refuse_own_names(name)
        lifetime = None if expires_seconds is None else timedelta(seconds=expires_seconds)

        def made() -> NewKey:
            with self._context.store.write() as tx:
                if tx.keys.current(name) is not None:
                    raise KeyNameTaken(f"there is a key {name}; rotate or revoke it", field="name")
                return self._make(tx, EventKind.KEY_CREATED, name, role, lifetime, by)

        return _again_if_beaten(made)

    def rotate(
        self, name: str, *, overlap_seconds: float, expires_seconds: float | None, by: str
    ) -> NewKey:
        """Another key of a name; those before it end after the overlap, or when they expire.

        The new one lives as long as the old one was to, unless ``expires_seconds`` says otherwise.
        """
        _refuse_own_names(name)

        def made() -> NewKey:
            with self._context.store.write() as tx:
                old = _current(tx, name)
                now = self._context.now()
                tx.keys.replace(name, end=now + timedelta(seconds=overlap_seconds), now=now)
                lifetime = old.lifetime
                if expires_seconds is not None:
                    lifetime = timedelta(seconds=expires_seconds)
                return self._make(tx, EventKind.KEY_ROTATED, name, old.role, lifetime, by)

        return _again_if_beaten(made)

    def revoke(self, name: str, *, by: str) -> None:
        """Every key of a name opens nothing from now on; NotFound where none did."""
        _refuse_own_names(name)
        with self._context.store.write() as tx:
            if not tx.keys.revoke(name, now=self._context.now()):
                raise NotFound(f"there is no key {name}")
            tx.events.append(self._event(EventKind.KEY_REVOKED, name=name, by=by))

    def list(self) -> Sequence[tuple[Key, KeyState]]:
        """Every key by name, the newest of each first, with what it still opens."""
        now = self._context.now()
        with self._context.store.read() as tx:
            return [(key, key.state(now)) for key in tx.keys.every(limit=SHOWN)]

    def _make(
        self,
        tx: Transaction,
        kind: EventKind,
        name: str,
        role: Role,
        lifetime: timedelta | None,
        by: str,
    ) -> NewKey:
        now = self._context.now()
        # The end of a UUIDv7 is random.
        prefix = self._context.new_id()[-KEY_PREFIX_LENGTH:]
        text = key_text(prefix, self._context.new_secret())
        key = Key(
            prefix=prefix,
            name=name,
            role=role,
            hash=hash_of(text),
            created_at=now,
            expires_at=None if lifetime is None else now + lifetime,
        )
        tx.keys.insert(key)
        said = {"name": name, "role": role, "prefix": key.beginning, "by": by}
        tx.events.append(self._event(kind, **said))
        return NewKey(key=key, text=text)

    def _event(self, kind: EventKind, **data: object) -> Event:
        return Event(kind=kind, at=self._context.now(), data=data)


def _again_if_beaten(made: Callable[[], T]) -> T:
    """Two at once, or a prefix that is taken: the second try sees it."""
    try:
        return made()
    except IntegrityError:
        return made()


def _refuse_own_names(name: str) -> None:
    if name in RESERVED_NAMES:
        raise InvalidRequest(
            f"{name!r} is the farm's own; the bootstrap key changes with the master's settings",
            field="name",
        )


def _current(tx: Transaction, name: str) -> Key:
    found = tx.keys.current(name)
    if found is None:
        raise NotFound(f"there is no key {name}")
    return found
