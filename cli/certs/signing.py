"""Keys, certificates and lists of revoked ones, in memory: nothing here reads or writes a file."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from cli.certs.wanted import Kind, Wanted

ORGANIZATION = "ffrtmp"
BACKDATED = timedelta(minutes=5)
"""Clocks of a farm differ a little; a new certificate must be good on all its hosts."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A certificate and its private key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def new_authority(name: str, *, life: timedelta, now: datetime) -> Pair:
    """An authority that signs certificates of holders, and no further authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(name)
    builder = (
        _builder(subject, subject, key.public_key(), now=now, until=now + life)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), critical=True)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), critical=False
        )
    )
    return Pair(certificate=builder.sign(key, hashes.SHA256()), key=key)


def sign(wanted: Wanted, by: Pair, *, now: datetime) -> Pair:
    """The certificate that is wanted, with a new key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = _subject(wanted.name, kind=wanted.kind)
    use = ExtendedKeyUsageOID.SERVER_AUTH if wanted.kind.serves else ExtendedKeyUsageOID.CLIENT_AUTH
    issuer = by.certificate.subject
    builder = (
        _builder(subject, issuer, key.public_key(), now=now, until=now + wanted.life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(digital_signature=True), critical=True)
        .add_extension(x509.ExtendedKeyUsage([use]), critical=False)
        .add_extension(_authority_key(by.certificate), critical=False)
    )
    names = [*map(x509.DNSName, wanted.hosts), *map(x509.IPAddress, wanted.addresses)]
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
    return Pair(certificate=builder.sign(by.key, hashes.SHA256()), key=key)


def revocations(
    by: Pair,
    *,
    revoked: Iterable[x509.Certificate],
    before: x509.CertificateRevocationList | None,
    now: datetime,
) -> x509.CertificateRevocationList:
    """A list of those revoked before and now. It is good for as long as the authority: a list
    that runs out would shut everybody out."""
    known = {entry.serial_number: entry for entry in before or ()}
    for certificate in revoked:
        known.setdefault(certificate.serial_number, _entry(certificate.serial_number, now))
    builder = (
        x509.CertificateRevocationListBuilder()
        .issuer_name(by.certificate.subject)
        .last_update(now - BACKDATED)
        .next_update(by.certificate.not_valid_after_utc)
        .add_extension(x509.CRLNumber(_number(before) + 1), critical=False)
        .add_extension(_authority_key(by.certificate), critical=False)
    )
    for entry in known.values():
        builder = builder.add_revoked_certificate(entry)
    return builder.sign(by.key, hashes.SHA256())


def kind_of(certificate: x509.Certificate) -> Kind | None:
    """What its holder is; None where it was not made here."""
    said = certificate.subject.get_attributes_for_oid(NameOID.ORGANIZATIONAL_UNIT_NAME)
    try:
        return Kind(str(said[0].value)) if said else None
    except ValueError:
        return None


def name_of(certificate: x509.Certificate) -> str:
    """Its common name, or its whole subject where it has none."""
    said = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(said[0].value) if said else certificate.subject.rfc4514_string()


def places_in(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    """The host names and addresses it is good for; may be none."""
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def wanted_again(certificate: x509.Certificate, kind: Kind) -> Wanted:
    """A certificate that says the same as this one of ours, for as long again."""
    places = places_in(certificate)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc - BACKDATED
    return Wanted(
        kind=kind,
        name=name_of(certificate),
        hosts=tuple(places.get_values_for_type(x509.DNSName)),
        addresses=tuple(
            address
            for address in places.get_values_for_type(x509.IPAddress)
            if not hasattr(address, "netmask")
        ),
        life=life,
    )


def pem_of(things: Sequence[x509.Certificate | x509.CertificateRevocationList]) -> str:
    """PEM text of certificates or lists."""
    return "".join(
        thing.public_bytes(serialization.Encoding.PEM).decode("ascii") for thing in things
    )


def pem_of_key(key: ec.EllipticCurvePrivateKey) -> str:
    """PEM text of a private key, not encrypted: services read it without anybody present."""
    return key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    ).decode("ascii")


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePublicKey,
    *,
    now: datetime,
    until: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - BACKDATED)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _subject(name: str, *, kind: Kind | None = None) -> x509.Name:
    attributes = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, ORGANIZATION)]
    if kind is not None:
        attributes.append(x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, kind.value))
    return x509.Name([*attributes, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _usage(
    *, digital_signature: bool = False, key_cert_sign: bool = False, crl_sign: bool = False
) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        key_cert_sign=key_cert_sign,
        crl_sign=crl_sign,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _authority_key(certificate: x509.Certificate) -> x509.AuthorityKeyIdentifier:
    known = certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    return x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known.value)


def _entry(serial: int, now: datetime) -> x509.RevokedCertificate:
    return (
        x509.RevokedCertificateBuilder().serial_number(serial).revocation_date(now - BACKDATED)
    ).build()


def _number(before: x509.CertificateRevocationList | None) -> int:
    if before is None:
        return 0
    return before.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
