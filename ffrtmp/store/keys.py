"""Named keys in the store: their hashes, never themselves."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from ffrtmp.domain.access import Role
from ffrtmp.domain.key import USE_NOTED_EVERY, Key
from ffrtmp.store.tables import keys

# Built once: composing them costs more than running them.
_OF_PREFIX = sa.select(keys).where(keys.c.prefix == sa.bindparam("prefix"))
_CURRENT = keys.c.replaced_at.is_(None) & keys.c.revoked_at.is_(None)


class Keys:
    """Adds, finds and ends keys."""

    def __init__(self, connection: sa.Connection) -> None:
        self._db = connection

    def insert(self, key: Key) -> None:
        """A new key; IntegrityError where its name has a current one, or its prefix is taken."""
        values = {column.name: getattr(key, column.name) for column in keys.c}
        self._db.execute(sa.insert(keys).values(values))

    def of_prefix(self, prefix: str) -> Key | None:
        """The key of a prefix, whatever its state."""
        return self._one(_OF_PREFIX, prefix=prefix)

    def current(self, name: str) -> Key | None:
        """The key of a name that is neither replaced nor revoked, held until the transaction
        ends."""
        query = sa.select(keys).where(keys.c.name == name, _CURRENT).with_for_update()
        return self._one(query)

    def every(self, *, limit: int) -> Sequence[Key]:
        """All keys by name, the newest of each first."""
        query = sa.select(keys).order_by(keys.c.name, keys.c.created_at.desc()).limit(limit)
        return [_key(row) for row in self._db.execute(query)]

    def is_any(self) -> bool:
        """Whether there ever was a key."""
        return self._db.execute(sa.select(keys.c.prefix).limit(1)).first() is not None

    def replace(self, name: str, *, end: datetime, now: datetime) -> None:
        """A newer key of the name is made: those it has end at ``end``, if not before."""
        is_longer = keys.c.expires_at.is_(None) | (keys.c.expires_at > end)
        ended = sa.update(keys).where(keys.c.name == name, keys.c.revoked_at.is_(None))
        self._db.execute(
            ended.values(
                replaced_at=sa.func.coalesce(keys.c.replaced_at, now),
                expires_at=sa.case((is_longer, end), else_=keys.c.expires_at),
            )
        )

    def revoke(self, name: str, *, now: datetime) -> int:
        """No key of a name opens anything from now on; how many that were not revoked before."""
        ended = sa.update(keys).where(keys.c.name == name, keys.c.revoked_at.is_(None))
        return self._db.execute(ended.values(revoked_at=now)).rowcount

    def note_use(self, prefix: str, *, now: datetime) -> None:
        """It was used, unless that was noted lately."""
        used = sa.update(keys).where(keys.c.prefix == prefix)
        is_old = keys.c.last_used_at.is_(None) | (keys.c.last_used_at <= now - USE_NOTED_EVERY)
        self._db.execute(used.where(is_old).values(last_used_at=now))

    def _one(self, query: sa.Select[Any], **asked: Any) -> Key | None:
        row = self._db.execute(query, asked).one_or_none()
        return None if row is None else _key(row)


def _key(row: sa.Row[Any]) -> Key:
    values = dict(row._mapping)
    return Key(**values | {"role": Role(values["role"])})
