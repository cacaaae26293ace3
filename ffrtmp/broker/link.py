"""Every way to the broker: certificate and host name are checked on each, and cannot be left out.

kombu verifies nothing unless it is told to, and redis-py trusts the system's authorities besides
the one it is given.
"""

import socket
import ssl
from typing import Any
from urllib.parse import parse_qsl, urlsplit, urlunsplit

import redis

from ffrtmp.config.broker import SECURE

VERIFIED_TRANSPORT = "ffrtmp.broker.transport:Transport"


class VerifiedConnection(redis.SSLConnection):
    """TLS 1.2 or later, whatever a URL says, trusting only the authority that was given."""

    def _wrap_socket_with_ssl(self, sock: socket.socket) -> ssl.SSLSocket:
        context = ssl.create_default_context(cafile=self.ca_certs)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.certfile:
            context.load_cert_chain(self.certfile, self.keyfile)
        return context.wrap_socket(sock, server_hostname=self.host)


def connect(url: str, **options: Any) -> redis.Redis:
    """A client of the broker at a settled URL, which connects when first used."""
    if urlsplit(url).scheme == SECURE:
        options["connection_class"] = VerifiedConnection
    return redis.Redis.from_url(url, **options)


def celery_link(url: str, *, transport: str | None = VERIFIED_TRANSPORT) -> dict[str, Any]:
    """Celery's settings for the broker at a settled URL; ``transport`` None is kombu's own."""
    parts = urlsplit(url)
    found: dict[str, Any] = {
        "broker_url": urlunsplit(parts._replace(query="")),
        "broker_transport": transport,
    }
    if parts.scheme == SECURE:
        # Without the first of these kombu asks for no certificate at all.
        checks = {"ssl_cert_reqs": ssl.CERT_REQUIRED, "ssl_check_hostname": True}
        found["broker_use_ssl"] = checks | dict(parse_qsl(parts.query))
    return found
