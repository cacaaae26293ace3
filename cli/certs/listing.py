"""Certificates as they are shown."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from cli.certs.folder import AuthorityFolder, Record
from cli.certs.signing import kind_of, name_of, places_in
from cli.certs.wanted import is_due
from cli.render import show_table
from ffrtmp.tls.files import read_certificates

COLUMNS = ("kind", "name", "state", "until", "days", "for", "sha256")


def facts_of(certificate: x509.Certificate, *, now: datetime) -> dict[str, Any]:
    """What is said of one, JSON-able."""
    places = places_in(certificate)
    left = certificate.not_valid_after_utc - now
    kind = kind_of(certificate)
    return {
        "kind": "authority" if _is_authority(certificate) else kind.value if kind else "other",
        "name": name_of(certificate),
        "state": _state(certificate, now),
        "from": certificate.not_valid_before_utc.isoformat(),
        "until": certificate.not_valid_after_utc.isoformat(),
        "days_left": left.days,
        "for": [
            *places.get_values_for_type(x509.DNSName),
            *map(str, places.get_values_for_type(x509.IPAddress)),
        ],
        "serial": f"{certificate.serial_number:x}",
        "sha256": certificate.fingerprint(hashes.SHA256()).hex(":"),
    }


def facts_in(authority: AuthorityFolder, *, now: datetime) -> Sequence[dict[str, Any]]:
    """The authority's own certificate, then all it issued."""
    own = facts_of(authority.own_certificate(), now=now)
    return [own, *(_recorded(record, now) for record in authority.records())]


def facts_of_file(file: Path, now: datetime) -> Sequence[dict[str, Any]]:
    """The certificates of one file; TlsFileError where it holds none."""
    return [facts_of(certificate, now=now) for certificate in read_certificates(file)]


def show_facts(found: Iterable[dict[str, Any]]) -> None:
    """A table of them."""
    rows = [
        (
            one["kind"],
            one["name"],
            one["state"],
            one["until"][:10],
            one["days_left"],
            ", ".join(one["for"]) or None,
            one["sha256"],
        )
        for one in found
    ]
    show_table(COLUMNS, rows)


def _recorded(record: Record, now: datetime) -> dict[str, Any]:
    facts = facts_of(record.certificate, now=now)
    if record.is_revoked:
        facts["state"] = "revoked"
    elif not record.is_latest and facts["state"] != "expired":
        facts["state"] = "replaced"
    return facts


def _state(certificate: x509.Certificate, now: datetime) -> str:
    since, until = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    if now >= until:
        return "expired"
    if now < since:
        return "not yet valid"
    return "due" if is_due(now=now, not_before=since, not_after=until) else "good"


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        found = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except x509.ExtensionNotFound:
        return False
    return found.value.ca
