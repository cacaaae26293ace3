"""Named keys of the API: what is kept of them, never the secret itself."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from ffrtmp.domain.access import Caller, Role

KEY_PREFIX_LENGTH = 8
_KEY = re.compile(r"ffr_([0-9a-f]{8})_[A-Za-z0-9_-]{1,128}", re.ASCII)
USE_NOTED_EVERY = timedelta(minutes=1)
"""The last use is written this often at most: a request must not cost a write."""


class KeyState(StrEnum):
    """What a key still opens.

    live      what its role says.
    replaced  the same until it expires: a newer one of the name is there.
    expired   nothing; rotate makes another.
    revoked   nothing, for good.
    """

    LIVE = "live"
    REPLACED = "replaced"
    EXPIRED = "expired"
    REVOKED = "revoked"


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One secret under a name. Of a name one key is current: neither replaced nor revoked."""

    prefix: str
    name: str
    role: Role
    hash: str
    created_at: datetime
    expires_at: datetime | None = None
    replaced_at: datetime | None = None
    revoked_at: datetime | None = None
    last_used_at: datetime | None = None

    @property
    def caller(self) -> Caller:
        """Who speaks with it."""
        return Caller(name=self.name, role=self.role)

    @property
    def beginning(self) -> str:
        """How its text begins: what people tell keys apart by."""
        return f"ffr_{self.prefix}"

    @property
    def lifetime(self) -> timedelta | None:
        """From its making to its expiry; None lives until it is revoked."""
        return None if self.expires_at is None else self.expires_at - self.created_at

    def state(self, now: datetime) -> KeyState:
        """What it opens now."""
        if self.revoked_at is not None:
            return KeyState.REVOKED
        if self.expires_at is not None and self.expires_at <= now:
            return KeyState.EXPIRED
        return KeyState.LIVE if self.replaced_at is None else KeyState.REPLACED

    def is_use_worth_noting(self, now: datetime) -> bool:
        """Whether the last use that was written is long enough ago."""
        return self.last_used_at is None or self.last_used_at + USE_NOTED_EVERY <= now


def key_text(prefix: str, secret: str) -> str:
    """The key as its owner has it."""
    return f"ffr_{prefix}_{secret}"


def prefix_of(credential: str) -> str | None:
    """The prefix of what looks like a named key; None for any other credential."""
    match = _KEY.fullmatch(credential)
    return match[1] if match else None
