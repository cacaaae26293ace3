"""Keys on the wire."""

from datetime import datetime
from typing import Annotated

from pydantic import Field, StrictStr

from ffrtmp.domain.access import Role
from ffrtmp.domain.key import KeyState
from ffrtmp.schemas.base import DAY_SECONDS, Answer, Wire, example

KEY_NAME = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$"
YEAR_SECONDS = 365 * DAY_SECONDS

Lifetime = Annotated[float, Field(ge=1, le=10 * YEAR_SECONDS, allow_inf_nan=False, strict=True)]


class KeyRequest(Wire):
    """The body of POST /keys."""

    model_config = example({"name": "archive", "role": "submit", "expires_seconds": 7_776_000})

    name: Annotated[StrictStr, Field(pattern=KEY_NAME)]
    """Owner of the jobs it submits; stays when the key is rotated."""
    role: Role
    expires_seconds: Lifetime | None = None
    """How long it opens anything; none is until it is revoked."""


class KeyRotation(Wire):
    """The body of POST /keys/{name}/rotate."""

    model_config = example({"overlap_seconds": 3600})

    overlap_seconds: Annotated[
        float, Field(ge=0, le=YEAR_SECONDS, allow_inf_nan=False, strict=True)
    ] = DAY_SECONDS
    """How long the old key goes on beside the new one; 0 ends it at once."""
    expires_seconds: Lifetime | None = None
    """How long the new one opens anything; none is as long as the old one was to."""


class KeyAnswer(Answer):
    """What may be seen of a key."""

    name: str
    role: Role
    prefix: str
    """How the key begins."""
    state: KeyState
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    """To the minute."""


class NewKeyAnswer(KeyAnswer):
    """A key that was just made: the only answer that has it."""

    key: str
    """The key itself. It is kept nowhere: whoever loses it has it rotated."""


class KeyList(Answer):
    """Every key by name, the newest of each first."""

    keys: list[KeyAnswer]
    count: int
