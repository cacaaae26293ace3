"""The certificates of a farm on one machine: made, renewed and replaced without anybody asked."""

import logging
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from cli.certs.folder import AuthorityFolder
from cli.certs.signing import places_in
from cli.certs.wanted import Kind, Wanted, is_due, places_of, wanted
from cli.exits import CliError
from ffrtmp.config import MasterTls
from ffrtmp.parts import EVERYWHERE
from ffrtmp.tls import TlsFileError
from ffrtmp.tls.files import read_certificates

AUTHORITY_NAME = "ffrtmp-up"
AUTHORITY_LIFE = timedelta(days=3650)
DAYS = 90
LOOK_SECONDS = 3600.0
log = logging.getLogger("ffrtmp.farm")


class OwnCertificates:
    """An authority in ``folder``, and one certificate of it, for a master listening on ``host``."""

    def __init__(self, folder: Path, *, host: str) -> None:
        self._authority = AuthorityFolder(folder)
        self._host = host

    @property
    def ca(self) -> Path:
        """What clients trust."""
        return self._authority.certificate

    @property
    def settings(self) -> MasterTls:
        """What the master serves with."""
        own = self._authority.holder(Kind.MASTER.value)
        return MasterTls(enabled=True, cert=own / "cert.pem", key=own / "key.pem")

    def prepare(self, *, now: datetime) -> bool:
        """Make what is missing, due, or for other places than this machine has now; whether the
        master has a new certificate. CliError where that cannot be."""
        if not self._authority.exists():
            self._authority.create(AUTHORITY_NAME, life=AUTHORITY_LIFE, now=now)
        asked = self._wanted()
        if self._serves(asked, now):
            return False
        self._authority.issue(asked, now=now, into=None, may_replace=True)
        return True

    def keep_good(self, stop: threading.Event, *, on_renewal: Callable[[], None]) -> None:
        """Look every hour until ``stop``."""
        while not stop.wait(LOOK_SECONDS):
            try:
                if self.prepare(now=datetime.now(UTC)):
                    on_renewal()
            except (CliError, TlsFileError, OSError) as error:
                log.warning("certificates are not renewed: %s", error)

    def _wanted(self) -> Wanted:
        asked = wanted(Kind.MASTER, None, hosts=[], addresses=[], days=DAYS)
        hosts, addresses = places_of([self._host] if self._host not in EVERYWHERE else [])
        return replace(
            asked,
            hosts=tuple(dict.fromkeys((*asked.hosts, *hosts))),
            addresses=tuple(dict.fromkeys((*asked.addresses, *addresses))),
        )

    def _serves(self, asked: Wanted, now: datetime) -> bool:
        cert, key = self.settings.cert, self.settings.key
        try:
            found = read_certificates(cert)[0] if cert and key and key.exists() else None
        except TlsFileError:
            return False
        return found is not None and _is_good(found, asked, now)


def _is_good(found: x509.Certificate, asked: Wanted, now: datetime) -> bool:
    since, until = found.not_valid_before_utc, found.not_valid_after_utc
    if is_due(now=now, not_before=since, not_after=until):
        return False
    places = places_in(found)
    hosts = places.get_values_for_type(x509.DNSName)
    addresses = places.get_values_for_type(x509.IPAddress)
    return set(asked.hosts) <= set(hosts) and set(asked.addresses) <= set(addresses)
