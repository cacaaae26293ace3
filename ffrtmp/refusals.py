"""How asking a master fails, and what its refusals say.

ClientError
├── MasterUnreachable   no answer
│   ├── AnswerLost      cut or timed out after the request was sent: it may have been carried out
│   └── MasterNotTrusted  TLS: its certificate is not accepted here, or ours not there
├── MasterUnavailable   408, 502, 503, 504, 507: it answered that it cannot now
│   └── MasterBusy      429: too much was asked of it; says how long to wait
└── MasterRefused       any other 4xx or 5xx, with the master's own code, message and field
"""

from dataclasses import dataclass

import httpx
from pydantic import ValidationError

from ffrtmp.schemas import ErrorAnswer

CANNOT_NOW = (408, 502, 503, 504, 507)


class ClientError(Exception):
    """The master did not do what was asked."""


class MasterUnreachable(ClientError):  # noqa: N818
    """No answer came."""


class AnswerLost(MasterUnreachable):
    """The request was sent and no answer came: it may or may not have been carried out."""


class MasterNotTrusted(MasterUnreachable):
    """Certificates are in the way; the text says which and what to do. Nothing was carried out."""


@dataclass
class MasterRefused(ClientError):  # noqa: N818
    """The master answered with an error."""

    status: int
    code: str
    message: str
    field: str | None = None

    def __str__(self) -> str:
        return f"{self.field}: {self.message}" if self.field else self.message


class MasterUnavailable(MasterRefused):
    """The master answered that it cannot now; ask again."""


@dataclass
class MasterBusy(MasterUnavailable):
    """The master answered that this is too much for now; ask again in ``wait_seconds``."""

    wait_seconds: float = 1.0


def refusal_of(response: httpx.Response) -> MasterRefused:
    """What an answer of 400 and more says."""
    status = response.status_code
    try:
        error = ErrorAnswer.model_validate_json(response.content).error
        said = (status, error.code, error.message, error.field)
    except ValidationError:
        said = (status, "http", f"HTTP {status}", None)
    if status == httpx.codes.TOO_MANY_REQUESTS:
        wait = response.headers.get("Retry-After", "")
        return MasterBusy(*said, wait_seconds=float(wait) if wait.isdecimal() else 1.0)
    return MasterUnavailable(*said) if status in CANNOT_NOW else MasterRefused(*said)
