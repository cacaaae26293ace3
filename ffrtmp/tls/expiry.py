"""When the files of TLS run out, and when somebody must hear of it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from prometheus_client.metrics_core import GaugeMetricFamily

from ffrtmp.config import ClientTls, MasterTls
from ffrtmp.tls.files import read_certificates, read_revocations

WARNING_SHARE = 1 / 3
WARNING_AT_MOST = timedelta(days=14)
"""Later than ``ffrtmp certs renew`` renews what lives for 90 days: who runs it hears nothing."""
LOOK_SECONDS = 86_400.0
NEVER = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expiry:
    """The life of a file: of the certificate in it that runs out first."""

    kind: str
    """``server``, ``client``, ``ca`` or ``crl``."""
    file: Path
    since: datetime
    until: datetime

    def warning(self, now: datetime) -> str | None:
        """A line for the log where little of its life is left."""
        left = self.until - now
        if left >= min((self.until - self.since) * WARNING_SHARE, WARNING_AT_MOST):
            return None
        when = f"{self.until:%Y-%m-%d %H:%M} UTC"
        said = f"expired on {when}" if left <= timedelta() else f"expires on {when}"
        return f"{self.file} {said}; renew it with 'ffrtmp certs renew'"


def served_expiries(tls: MasterTls) -> Sequence[Expiry]:
    """Of the files of an API that serves HTTPS; TlsFileError."""
    found = [_of_certificates("server", tls.cert), _of_certificates("ca", tls.ca)]
    if tls.crl is not None:
        lists = read_revocations(tls.crl)
        lives = [(one.last_update_utc, one.next_update_utc or NEVER) for one in lists]
        found.append(_first("crl", tls.crl, lives))
    return [expiry for expiry in found if expiry is not None]


def client_expiries(tls: ClientTls) -> Sequence[Expiry]:
    """Of the files that a client trusts and shows; TlsFileError."""
    found = [_of_certificates("client", tls.cert), _of_certificates("ca", tls.ca)]
    return [expiry for expiry in found if expiry is not None]


def warnings(expiries: Iterable[Expiry], now: datetime) -> Iterator[str]:
    """A line for each that needs one."""
    return (line for expiry in expiries if (line := expiry.warning(now)) is not None)


def gauge(name: str, expiries: Iterable[Expiry]) -> GaugeMetricFamily:
    """When each runs out, by its kind."""
    family = GaugeMetricFamily(name, "When the certificate or list runs out.", labels=["kind"])
    for expiry in expiries:
        family.add_metric([expiry.kind], expiry.until.timestamp())
    return family


def _of_certificates(kind: str, file: Path | None) -> Expiry | None:
    if file is None:
        return None
    found = read_certificates(file)
    return _first(
        kind, file, [(one.not_valid_before_utc, one.not_valid_after_utc) for one in found]
    )


def _first(kind: str, file: Path, lives: Sequence[tuple[datetime, datetime]]) -> Expiry:
    since, until = min(lives, key=lambda life: life[1])
    return Expiry(kind=kind, file=file, since=since, until=until)
