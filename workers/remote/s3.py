"""S3 and what speaks like it: the connection, what its errors mean, and objects as inputs.

Credentials are the agent's own, found by boto3 in the environment and in the AWS files; nothing
that the agent starts or says holds them.
"""

import contextlib
import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from ffrtmp.domain.retry import FailureClass
from workers.errors import AttemptFailed, OutputAway
from workers.remote.items import CHUNK_BYTES

CONNECT_SECONDS: Final = 10
READ_SECONDS: Final = 60
TRIES_WITHOUT_MOVEMENT: Final = 4
PASSING_CODES: Final = (
    *("RequestTimeout", "SlowDown", "BadDigest", "XAmzContentSHA256Mismatch"),
    *("InternalError", "ConditionalRequestConflict", "OperationAborted"),
    *("ExpiredToken", "RequestExpired"),  # the next try reads the credentials again
)
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class S3Access:
    """Which service a node speaks to; None is AWS, in the region that its files name.

    ``tries`` is how often one request is made before its trouble is somebody else's.
    """

    endpoint: str | None = None
    region: str | None = None
    tries: int = 3

    def client(self) -> Any:
        """A connection of its own; it is closed by ``close``."""
        import boto3
        from botocore.config import Config

        return boto3.session.Session().client(
            "s3",
            endpoint_url=self.endpoint,
            region_name=self.region,
            config=Config(
                connect_timeout=CONNECT_SECONDS,
                read_timeout=READ_SECONDS,
                retries={"mode": "standard", "total_max_attempts": self.tries},
                # hosts of one's own seldom have a name for each bucket
                s3={"addressing_style": "path" if self.endpoint else "auto"},
            ),
        )


AWS: Final = S3Access()


class Verdict(StrEnum):
    """What an error means for the job."""

    MISSING = "missing"
    TAKEN = "taken"
    REFUSED = "refused"
    AWAY = "away"


def errors() -> tuple[type[Exception], ...]:
    """Everything that boto3 raises."""
    from boto3.exceptions import Boto3Error
    from botocore.exceptions import BotoCoreError, ClientError

    return BotoCoreError, ClientError, Boto3Error


def verdict(error: Exception) -> Verdict:
    """What an error of boto3 means."""
    from botocore import exceptions as known

    if isinstance(error, known.ClientError):
        return _verdict(_status(error), str(error.response.get("Error", {}).get("Code", "")))
    is_away = isinstance(
        error, (known.ConnectionError, known.HTTPClientError, known.IncompleteReadError)
    )
    return Verdict.AWAY if is_away else Verdict.REFUSED


def is_unknown(error: Exception) -> bool:
    """Whether a service does not know what it was asked for."""
    return _status(error) == HTTPStatus.NOT_IMPLEMENTED


def _status(error: Exception) -> int:
    """The HTTP status of an answer, 0 where there was none."""
    answer = getattr(error, "response", None) or {}
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _verdict(status: int, code: str) -> Verdict:
    if code in PASSING_CODES or status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == 429:
        return Verdict.AWAY
    if status == HTTPStatus.NOT_FOUND:
        return Verdict.MISSING
    return Verdict.TAKEN if status == HTTPStatus.PRECONDITION_FAILED else Verdict.REFUSED


def place_in(location: str) -> dict[str, str]:
    """Bucket and key of an s3 URL, as boto3 wants them."""
    parts = urlsplit(location)
    return {"Bucket": parts.netloc, "Key": parts.path.removeprefix("/")}


def head(client: Any, location: str) -> Mapping[str, Any] | None:
    """What is known of an object; None where there is none, or one may not look."""
    try:
        found: Mapping[str, Any] = client.head_object(**place_in(location), ChecksumMode="ENABLED")
    except errors() as error:
        if _status(error) in (HTTPStatus.NOT_FOUND, HTTPStatus.FORBIDDEN):
            return None
        raise
    return found


@contextlib.contextmanager
def output_errors(location: str) -> Iterator[None]:
    """The errors of boto3 as those of an output: AttemptFailed, OutputAway."""
    try:
        yield
    except errors() as error:
        said = f"output {location}: {error}"
        match verdict(error):
            case Verdict.AWAY:
                raise OutputAway(said) from error
            case Verdict.TAKEN:
                raise AttemptFailed(FailureClass.OUTPUT_EXISTS, said) from error
            case _:
                raise AttemptFailed(FailureClass.OUTPUT_REFUSED, said) from error


def fetch(
    access: S3Access, location: str, target: Path, *, moved: Callable[[int], None], room_bytes: int
) -> None:
    """Bring an object to ``target``, taking up what broke off; AttemptFailed, and what ``moved``
    raises, which hears how many bytes are there.

    ``room_bytes`` is how large it may be.
    """
    try:
        client = access.client()
        with contextlib.closing(client):
            size, tag = _look(client, location)
            if size > room_bytes:
                why = f"input {location} has {size} bytes, and there is room for {room_bytes}"
                raise AttemptFailed(FailureClass.NO_SPACE, why)
            _download(client, location, target, size=size, tag=tag, moved=moved)
    except errors() as error:
        raise _input_failure(location, error) from error


def _look(client: Any, location: str) -> tuple[int, str]:
    found = client.head_object(**place_in(location))
    return int(found["ContentLength"]), str(found["ETag"])


def _download(
    client: Any, location: str, target: Path, *, size: int, tag: str, moved: Callable[[int], None]
) -> None:
    at, stood_still = 0, 0
    with target.open("xb") as file:
        while at < size:
            before = at
            try:
                part = client.get_object(**place_in(location), IfMatch=tag, Range=f"bytes={at}-")
                with contextlib.closing(part["Body"]) as body:
                    for chunk in body.iter_chunks(CHUNK_BYTES):
                        file.write(chunk)
                        at += len(chunk)
                        moved(at)
            except errors() as error:
                stood_still = 0 if at > before else stood_still + 1
                if verdict(error) is not Verdict.AWAY or stood_still >= TRIES_WITHOUT_MOVEMENT:
                    raise
                log.info("input %s goes on at byte %d: %s", location, at, error)


def _input_failure(location: str, error: Exception) -> AttemptFailed:
    if getattr(error, "operation_name", "") == "GetObject" and verdict(error) is Verdict.TAKEN:
        why = f"input {location} changed while it was read"
        return AttemptFailed(FailureClass.BAD_INPUT, why)
    kind = {
        Verdict.MISSING: FailureClass.INPUT_MISSING,
        Verdict.AWAY: FailureClass.CONNECTION,
    }.get(verdict(error), FailureClass.INPUT_REFUSED)
    return AttemptFailed(kind, f"input {location}: {error}")
