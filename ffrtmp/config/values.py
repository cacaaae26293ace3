"""Types of single settings: what each value may look like, and what is said where it does not."""

import re
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field

DATABASE_URL = r"(sqlite|postgres|postgresql(\+psycopg)?)://"


def _no_switch(value: object) -> object:
    # YAML reads yes and on as true, which Python would count as 1.
    if isinstance(value, bool):
        raise ValueError("is a number, not true or false")
    return value


def _key(value: str) -> str:
    if not re.fullmatch(r"[!-~]([ -~]*[!-~])?", value):
        raise ValueError("is not printable ASCII, or is empty, or has a blank at an end")
    return value


def _url(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not re.fullmatch(r"[!-~]+", value):
        raise ValueError(f"{value!r} is no URL; give one such as http://host:8080")
    return value


def _broker(value: str) -> str:
    try:
        parts = urlsplit(value)
        is_url = bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_url = False
    if not is_url or not re.fullmatch(r"rediss?://[!-~]+", value):
        raise ValueError("is no Redis URL; give one such as redis://:password@host:6379/0")
    # A query could switch the checks of certificates off.
    if not re.fullmatch(r"/?[0-9]*", parts.path) or "?" in value or "#" in value:
        raise ValueError("holds more than host, port and database number; see broker_ca for TLS")
    return value


def _readable(value: Path) -> Path:
    try:
        with value.open("rb"):
            return value
    except OSError as error:
        raise ValueError(f"{value} cannot be read: {error.strerror}") from None


def _database(value: str) -> str:
    if not value or ("://" in value and not _is_database_url(value)):
        raise ValueError("is neither a file nor a URL such as postgresql://user:password@host/name")
    return value


def _is_database_url(value: str) -> bool:
    try:
        return bool(re.match(DATABASE_URL, value)) and urlsplit(value).port != 0
    except ValueError:
        return False


def _network(value: object) -> object:
    if isinstance(value, IPv4Network | IPv6Network):
        return value
    if not isinstance(value, str):
        # YAML reads no as false, which ipaddress would count as 0.0.0.0.
        raise ValueError("is a network such as 10.0.0.0/8 or fd00::/8")
    try:
        return ip_network(value.strip())
    except ValueError as error:
        raise ValueError(f"{error}; give a network such as 10.0.0.0/8 or fd00::/8") from None


def parse_duration(value: object) -> object:
    """Seconds from ``5s``, ``2m``, ``1h``, ``90d``, ``500ms`` or a number."""
    if not isinstance(value, str):
        return _no_switch(value)
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d)?", value.strip())
    if match is None:
        raise ValueError(f"{value!r} is not a duration such as 5s, 2m or 1h")
    return float(match[1]) * {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86_400}[match[2] or "s"]


YEAR_SECONDS = 365 * 86_400.0


class Sandbox(StrEnum):
    """What an operator asks of the box around ffmpeg.

    auto        the best that the host allows.
    bubblewrap  namespaces: the agent does not start where they cannot be had.
    user        no namespaces, but a user without rights where the agent is root.
    off         neither.
    """

    AUTO = "auto"
    BUBBLEWRAP = "bubblewrap"
    USER = "user"
    OFF = "off"


Duration = Annotated[
    float, BeforeValidator(parse_duration), Field(gt=0, le=10 * YEAR_SECONDS, allow_inf_nan=False)
]
Whole = Annotated[int, BeforeValidator(_no_switch)]
Port = Annotated[Whole, Field(ge=0, le=65535)]
Key = Annotated[str, AfterValidator(_key)]
Broker = Annotated[str, AfterValidator(_broker)]
ReadableFile = Annotated[Path, AfterValidator(_readable)]
Network = Annotated[IPv4Network | IPv6Network, BeforeValidator(_network)]
Name = Annotated[str, Field(min_length=1, max_length=255)]


Url = Annotated[str, AfterValidator(_url)]
Database = Annotated[str, AfterValidator(_database)]
