"""TLS of the API: what it shows, whom it lets in, and reading that again while it serves."""

import asyncio
import logging
import ssl
import stat
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from prometheus_client import CollectorRegistry, Counter
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from ffrtmp.config import MasterTls
from ffrtmp.tls import TlsFileError
from ffrtmp.tls.expiry import LOOK_SECONDS, Expiry, gauge, served_expiries, warnings
from ffrtmp.tls.files import read_certificates, read_key, read_revocations

OTHERS_READ = stat.S_IROTH | stat.S_IWOTH | stat.S_IWGRP
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """The files as they were at one time."""

    context: ssl.SSLContext
    expiries: Sequence[Expiry]


def load(tls: MasterTls, *, now: datetime) -> Loaded:
    """Read and check every file; TlsFileError names the one that will not do."""
    if tls.cert is None or tls.key is None:
        raise TlsFileError("serving HTTPS takes a certificate and its key; give --cert and --key")
    _check_pair(tls.cert, tls.key, now)
    if tls.mtls and tls.ca is not None:
        authorities = _check_authorities(tls.ca, now)
        if tls.crl is not None:
            _check_revocations(tls.crl, authorities, now)
    try:
        context = _context(tls)
    except (ssl.SSLError, OSError) as error:
        raise TlsFileError(f"{tls.cert}, {tls.key}: {error}; give others") from error
    return Loaded(context=context, expiries=served_expiries(tls))


class ServedTls(Collector):
    """The context an API serves with; ``reread`` changes what new connections meet.

    Connections that stand go on as they are. Which files there are is settled for good. Its
    metrics say when what is served runs out, and how often it was read again.
    """

    def __init__(self, tls: MasterTls, registry: CollectorRegistry) -> None:
        self._tls = tls
        self._loaded = load(tls, now=datetime.now(UTC))
        self.context = self._loaded.context
        # Authorities can be added to a context, not taken away: each handshake gets the newest.
        self.context.sni_callback = self._meet
        self._rereads = Counter(
            "ffrtmp_master_certificate_rereads",
            "Times the files of TLS were read again, by what came of it.",
            ["result"],
            registry=registry,
        )
        for result in ("success", "error"):
            self._rereads.labels(result=result)
        registry.register(self)

    def reread(self) -> None:
        """Read the files again; where one will not do, keep the old, say so and count it."""
        try:
            self._loaded = load(self._tls, now=datetime.now(UTC))
        except TlsFileError as error:
            log.error("certificates stay as they were: %s", error)
            self._rereads.labels(result="error").inc()
            return
        until = min(expiry.until for expiry in self._loaded.expiries)
        log.info("certificates were read again; the first expires on %s", until)
        self._rereads.labels(result="success").inc()

    async def watch(self) -> None:
        """Log what runs out soon, now and once a day."""
        while True:
            for line in warnings(self._loaded.expiries, datetime.now(UTC)):
                log.warning("%s", line)
            await asyncio.sleep(LOOK_SECONDS)

    def collect(self) -> Iterator[Metric]:
        """One gauge."""
        yield gauge("ffrtmp_master_certificate_expiry_timestamp_seconds", self._loaded.expiries)

    def _meet(
        self, connection: ssl.SSLObject | ssl.SSLSocket, _name: str | None, _context: ssl.SSLContext
    ) -> None:
        connection.context = self._loaded.context


def _context(tls: MasterTls) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(str(tls.cert), tls.key)
    if tls.mtls:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(str(tls.ca))
        # A session that is resumed shows no certificate: whoever was revoked since would be let
        # in. 1.3 can do without sessions, 1.2 keeps them whatever it is told.
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.num_tickets = 0
    if tls.crl is not None:
        context.load_verify_locations(str(tls.crl))
        context.verify_flags |= ssl.VerifyFlags.VERIFY_CRL_CHECK_LEAF
    return context


def _check_pair(cert: Path, key: Path, now: datetime) -> None:
    shown = read_certificates(cert)[0]
    private = read_key(key)
    if key.stat().st_mode & OTHERS_READ:
        raise TlsFileError(f"{key} is open to others on this machine; 'chmod 600 {key}' ends that")
    if private.public_key() != shown.public_key():
        raise TlsFileError(f"{key} is not the key of {cert}; give the two that were made together")
    _check_time(cert, shown.not_valid_before_utc, shown.not_valid_after_utc, now)


def _check_time(file: Path, since: datetime, until: datetime, now: datetime) -> None:
    if now >= until:
        raise TlsFileError(f"{file} expired on {until:%Y-%m-%d %H:%M} UTC; give one that is good")
    if now < since:
        raise TlsFileError(
            f"{file} is good only from {since:%Y-%m-%d %H:%M} UTC on; is this clock right?"
        )


def _check_authorities(file: Path, now: datetime) -> Sequence[x509.Certificate]:
    """Those of the file; one that is good is enough, since a bundle keeps old ones."""
    found = read_certificates(file)
    latest = max(found, key=lambda one: one.not_valid_after_utc)
    _check_time(file, latest.not_valid_before_utc, latest.not_valid_after_utc, now)
    return found


def _check_revocations(file: Path, authorities: Sequence[x509.Certificate], now: datetime) -> None:
    lists = read_revocations(file)
    issuers = {one.issuer for one in lists}
    for authority in authorities:
        if authority.subject not in issuers:
            raise TlsFileError(
                f"{file} has no list of {authority.subject.rfc4514_string()}, so that nobody with "
                "its certificate would be let in; put the lists of all authorities in one file"
            )
    for one in lists:
        if one.next_update_utc is not None and one.next_update_utc <= now:
            raise TlsFileError(
                f"{file} ran out on {one.next_update_utc:%Y-%m-%d %H:%M} UTC, so that nobody would "
                "be let in; give a newer list"
            )
