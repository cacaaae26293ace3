"""What goes over a network without protection: said when a part starts, never refused."""

import ipaddress
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

from ffrtmp.config.broker import is_secure
from ffrtmp.config.master import MasterSettings

VERIFIED_MODES = ("verify-ca", "verify-full")


def exposed(settings: MasterSettings) -> Iterator[str]:
    """A warning for the database, and for the broker, where others could read its password."""
    if settings.broker is not None and (warning := exposed_broker(settings.broker)):
        yield warning
    if settings.db is not None and settings.db.startswith("postgres"):
        yield from _exposed_database(settings.db)


def exposed_broker(url: str) -> str | None:
    """The warning for a broker that is not reached by TLS, if it is on another host."""
    host = urlsplit(url).hostname or ""
    if is_secure(url) or is_here(host):
        return None
    return f"the broker at {host} is reached without TLS: whoever is on the way to it can read \
its password and send hints; give it a rediss:// URL"


def _exposed_database(url: str) -> Iterator[str]:
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    host = query.get("host", [parts.hostname or ""])[-1]
    if not (is_here(host) or query.get("sslmode", [""])[-1] in VERIFIED_MODES):
        yield f"the database at {host} is reached without checking its certificate: whoever is \
on the way to it can read and change everything; add sslmode=verify-full to its URL"


def is_here(host: str) -> bool:
    """Whether what is sent to ``host`` stays on this machine; no host and a path are sockets."""
    if host in ("", "localhost") or host.startswith("/"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
