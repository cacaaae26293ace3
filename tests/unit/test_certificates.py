"""What certificates say, and who accepts them."""

import shutil
import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from cli.certs.signing import new_authority, revocations, sign, wanted_again
from cli.certs.wanted import Kind, Wanted, is_due, own_addresses, own_hosts, wanted
from cli.exits import UsageError
from tests.certificates import DAY, Authority, Files

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
MASTER = Wanted(
    kind=Kind.MASTER,
    name="master",
    hosts=("farm.example",),
    addresses=(ip_address("192.0.2.7"), ip_address("2001:db8::7")),
    life=90 * DAY,
)


def test_authority_signs_holders_and_no_further_authority() -> None:
    made = new_authority("ours", life=3650 * DAY, now=NOW)

    said = made.certificate.extensions
    basic = said.get_extension_for_class(x509.BasicConstraints)
    usage = said.get_extension_for_class(x509.KeyUsage)
    assert (basic.critical, basic.value.ca, basic.value.path_length) == (True, True, 0)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.crl_sign) == (True, True, True)
    assert not usage.value.digital_signature
    assert isinstance(made.key.curve, ec.SECP256R1)
    assert made.certificate.not_valid_after_utc == NOW + 3650 * DAY


@pytest.mark.parametrize(
    ("kind", "use"),
    [
        (Kind.MASTER, ExtendedKeyUsageOID.SERVER_AUTH),
        (Kind.SERVER, ExtendedKeyUsageOID.SERVER_AUTH),
        (Kind.NODE, ExtendedKeyUsageOID.CLIENT_AUTH),
        (Kind.CLIENT, ExtendedKeyUsageOID.CLIENT_AUTH),
    ],
)
def test_certificate_is_for_one_use(kind: Kind, use: x509.ObjectIdentifier) -> None:
    authority = new_authority("ours", life=365 * DAY, now=NOW)
    asked = Wanted(kind=kind, name="holder", life=DAY)

    said = sign(asked, authority, now=NOW).certificate.extensions

    assert list(said.get_extension_for_class(x509.ExtendedKeyUsage).value) == [use]
    assert not said.get_extension_for_class(x509.BasicConstraints).value.ca
    assert said.get_extension_for_class(x509.KeyUsage).value.digital_signature
    own = authority.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier)
    signer = said.get_extension_for_class(x509.AuthorityKeyIdentifier).value
    assert signer.key_identifier == own.value.digest


def test_certificate_names_hosts_and_addresses_and_says_the_same_when_renewed() -> None:
    authority = new_authority("ours", life=365 * DAY, now=NOW)

    first = sign(MASTER, authority, now=NOW)
    again = sign(wanted_again(first.certificate, Kind.MASTER), authority, now=NOW + 60 * DAY)

    for made in (first, again):
        names = made.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        assert names.value.get_values_for_type(x509.DNSName) == ["farm.example"]
        assert names.value.get_values_for_type(x509.IPAddress) == list(MASTER.addresses)
    assert first.certificate.not_valid_after_utc == NOW + 90 * DAY
    assert again.certificate.not_valid_after_utc == NOW + 150 * DAY
    assert again.certificate.subject == first.certificate.subject
    assert again.certificate.serial_number != first.certificate.serial_number
    assert again.key.public_key() != first.key.public_key()


def test_list_of_revoked_keeps_those_before_and_outlives_them() -> None:
    authority = new_authority("ours", life=365 * DAY, now=NOW)
    one = sign(MASTER, authority, now=NOW).certificate
    two = sign(MASTER, authority, now=NOW).certificate

    first = revocations(authority, revoked=[one], before=None, now=NOW)
    second = revocations(authority, revoked=[two], before=first, now=NOW + DAY)

    assert {e.serial_number for e in second} == {one.serial_number, two.serial_number}
    assert second.next_update_utc == authority.certificate.not_valid_after_utc
    assert second.is_signature_valid(authority.key.public_key())
    numbers = [
        each.extensions.get_extension_for_class(x509.CRLNumber).value.crl_number
        for each in (first, second)
    ]
    assert numbers == [1, 2]


@pytest.mark.parametrize(("left", "due"), [(31, False), (30, False), (29, True), (-1, True)])
def test_what_is_due_has_less_than_a_third_left(left: int, due: bool) -> None:
    until = NOW + left * DAY

    assert is_due(now=NOW, not_before=until - 90 * DAY, not_after=until) is due


def test_master_is_by_default_for_this_machine() -> None:
    asked = wanted(Kind.MASTER, None, hosts=[], addresses=[], days=90)

    assert asked.name == "master"
    assert asked.hosts == own_hosts()
    assert asked.addresses == own_addresses()
    assert "localhost" in asked.hosts
    assert {ip_address("127.0.0.1"), ip_address("::1")} <= set(asked.addresses)


@pytest.mark.parametrize(
    ("name", "addresses", "places"),
    [
        ("Redis.internal", [], (("redis.internal",), ())),
        ("10.0.0.3", [], ((), (ip_address("10.0.0.3"),))),
        ("db", ["10.0.0.3"], (("db",), (ip_address("10.0.0.3"),))),
    ],
)
def test_server_is_known_by_its_name(
    name: str, addresses: list[str], places: tuple[object, object]
) -> None:
    asked = wanted(Kind.SERVER, name, hosts=[], addresses=addresses, days=90)

    assert (asked.hosts, asked.addresses) == places


@pytest.mark.parametrize(
    ("name", "hosts", "addresses", "said"),
    [
        (None, [], [], "has a name"),
        ("../up", [], [], "'../up' cannot name"),
        (".hidden", [], [], "cannot name"),
        ("issued", [], [], "cannot name"),
        ("x" * 64, [], [], "cannot name"),
        ("a\nb", [], [], "cannot name"),
        ("n", ["a b"], [], "--host 'a b'"),
        ("n", ["-a.example"], [], "--host"),
        ("n", ["10.0.0.1"], [], "--host"),
        ("n", ["*.example"], [], "--host"),
        ("n", [], ["farm.example"], "--address 'farm.example'"),
        ("n", [], ["10.0.0.0/8"], "--address"),
        ("n", [], ["fe80::1%eth0"], "--address"),
    ],
)
def test_what_cannot_be_on_a_certificate_is_refused_by_name(
    name: str | None, hosts: list[str], addresses: list[str], said: str
) -> None:
    with pytest.raises(UsageError, match=r".*") as refused:
        wanted(Kind.NODE, name, hosts=hosts, addresses=addresses, days=90)

    assert said in str(refused.value)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl")
def test_openssl_verifies_chain_name_use_and_revocation(tmp_path: Path) -> None:
    ours = Authority(tmp_path / "ours")
    master = ours.issue(Kind.MASTER, "master", hosts=("farm.example",))
    node = ours.issue(Kind.NODE, "node")
    gone = ours.issue(Kind.NODE, "gone")
    ours.revoke(gone)

    def accepts(files: Files, *words: str) -> bool:
        listed = ["-CAfile", str(ours.ca), "-CRLfile", str(ours.crl), "-crl_check", "-x509_strict"]
        said = subprocess.run(
            ["openssl", "verify", *listed, *words, str(files.cert)],
            capture_output=True,
            check=False,
        )
        return said.returncode == 0

    assert accepts(master, "-purpose", "sslserver", "-verify_hostname", "farm.example")
    assert accepts(master, "-purpose", "sslserver", "-verify_ip", "127.0.0.1")
    assert not accepts(master, "-purpose", "sslserver", "-verify_hostname", "other.example")
    assert not accepts(master, "-purpose", "sslclient")
    assert accepts(node, "-purpose", "sslclient")
    assert not accepts(node, "-purpose", "sslserver")
    assert not accepts(gone, "-purpose", "sslclient")


def test_python_accepts_both_ends(tmp_path: Path) -> None:
    ours = Authority(tmp_path / "ours")
    master = ours.issue(Kind.MASTER, "master", hosts=("farm.example",))
    node = ours.issue(Kind.NODE, "node")
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ours.ca)
    server.verify_mode = ssl.CERT_REQUIRED
    server.load_cert_chain(master.cert, master.key)
    client = ssl.create_default_context(cafile=ours.ca)
    client.load_cert_chain(node.cert, node.key)

    there, back = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(back, there, server_hostname="farm.example")
    answering = server.wrap_bio(there, back, server_side=True)
    for end in (asking, answering, asking, answering):
        try:
            end.do_handshake()
        except ssl.SSLWantReadError:
            continue

    seen = answering.getpeercert()
    assert seen is not None
    assert (("commonName", "node"),) in seen["subject"]


def test_clocks_that_lag_a_little_accept_a_new_certificate() -> None:
    authority = new_authority("ours", life=DAY, now=NOW)

    made = sign(Wanted(kind=Kind.NODE, name="n", life=DAY), authority, now=NOW)

    for one in (authority.certificate, made.certificate):
        assert one.not_valid_before_utc <= NOW - timedelta(minutes=4)
