"""Who may do what: the role of a key, and the caller a request comes from."""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a key is for.

    admin   whatever a person does.
    submit  jobs of its own: makes them, sees them, changes what becomes of them.
    read    sees jobs, nodes, queues and events of everybody, and changes nothing.
    node    lets agents register, and nothing else.
    """

    ADMIN = "admin"
    SUBMIT = "submit"
    READ = "read"
    NODE = "node"


class Deed(StrEnum):
    """What a route does, as far as it matters who asks."""

    SEE_JOBS = "see jobs"
    CHANGE_JOBS = "submit or change jobs"
    SEE_QUEUES = "see queues"
    SEE_A_NODE = "see a node"
    SEE_FARM = "see nodes and events"
    OPERATE = "change nodes or queues"
    MANAGE_KEYS = "see or change keys"
    REGISTER = "register nodes"


ALLOWED: Mapping[Role, frozenset[Deed]] = {
    Role.ADMIN: frozenset(Deed),
    Role.SUBMIT: frozenset({Deed.SEE_JOBS, Deed.CHANGE_JOBS, Deed.SEE_QUEUES}),
    Role.READ: frozenset({Deed.SEE_JOBS, Deed.SEE_QUEUES, Deed.SEE_A_NODE, Deed.SEE_FARM}),
    # An agent asks for its own epoch before it registers.
    Role.NODE: frozenset({Deed.REGISTER, Deed.SEE_A_NODE}),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Whose key a request carries. ``name`` owns jobs, and stays when the key is rotated."""

    name: str
    role: Role

    def may(self, deed: Deed) -> bool:
        """Whether its role allows a deed at all."""
        return deed in ALLOWED[self.role]

    @property
    def scope(self) -> str | None:
        """The owner whose jobs are all there is for it; None sees everybody's."""
        return self.name if self.role is Role.SUBMIT else None


BOOTSTRAP = Caller(name="bootstrap", role=Role.ADMIN)
"""Whoever has the key of the master's settings."""
ANYONE = Caller(name="anyone", role=Role.ADMIN)
"""Everybody, where there is no key at all."""
RESERVED_NAMES = frozenset({BOOTSTRAP.name, ANYONE.name})


class Refusal(StrEnum):
    """Why a credential did not open a route; counted, so the list is closed."""

    MISSING = "missing"
    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    REVOKED = "revoked"
    ROLE = "role"
    THROTTLED = "throttled"


def hash_of(secret: str) -> str:
    """What the store keeps of a key or token.

    Plain SHA-256: the secrets are 256 random bits, which nobody finds by trying, so a slow hash
    would protect nothing and cost every request.
    """
    return hashlib.sha256(secret.encode("utf-8", "surrogateescape")).hexdigest()


NO_HASH = "-" * 64
"""As long as a hash, and none: compared with where there is nothing to compare with."""


def is_same(one: str, other: str) -> bool:
    """Whether two hashes are equal, in a time that does not tell how far they are."""
    return hmac.compare_digest(one, other)
