"""When somebody is told that a certificate runs out; and a farm's own, renewed in time."""

from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509

from cli.certs.own import OwnCertificates
from cli.certs.wanted import Kind
from ffrtmp.config import ClientTls, MasterTls
from ffrtmp.tls.expiry import Expiry, client_expiries, served_expiries
from tests.certificates import DAY, Authority
from workers.certificates import check_certificates

NOW = datetime(2026, 11, 26, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("life", "left", "said"),
    [
        (90 * DAY, 14 * DAY, None),
        (90 * DAY, 14 * DAY - SECOND, "expires on"),
        (9 * DAY, 3 * DAY, None),
        (9 * DAY, 3 * DAY - SECOND, "expires on"),
        (3650 * DAY, 15 * DAY, None),
        (90 * DAY, -SECOND, "expired on"),
    ],
)
def test_warning_comes_with_a_third_or_two_weeks_left(
    life: timedelta, left: timedelta, said: str | None
) -> None:
    until = NOW + left
    expiry = Expiry(kind="server", file=Path("/cert.pem"), since=until - life, until=until)

    line = expiry.warning(NOW)

    assert (line is None) == (said is None)
    if line is not None:
        assert line.startswith(f"/cert.pem {said}")


def test_files_run_out_with_the_first_certificate_in_them(tmp_path: Path) -> None:
    ours = Authority(tmp_path / "ours", life=9 * DAY)
    soon = Authority(tmp_path / "soon", life=2 * DAY)
    ours.ca.write_text(ours.ca.read_text() + soon.ca.read_text())
    files = ours.issue(Kind.MASTER, "cert")
    tls = MasterTls(
        enabled=True, mtls=True, cert=files.cert, key=files.key, ca=ours.ca, crl=ours.crl
    )

    served = {one.kind: one.until for one in served_expiries(tls)}
    shown = {one.kind: one.until for one in client_expiries(ClientTls(cert=files.cert, ca=ours.ca))}

    first = soon.pair.certificate.not_valid_after_utc
    own = files.pair.certificate.not_valid_after_utc
    whole = ours.pair.certificate.not_valid_after_utc
    assert served == {"server": own, "ca": first, "crl": whole}
    assert shown == {"client": own, "ca": first}


def test_doctor_says_until_when_and_fails_what_is_over_or_unreadable(tmp_path: Path) -> None:
    ours = Authority(tmp_path / "ours", life=90 * DAY)
    files = ours.issue(Kind.NODE, "node", life=60 * DAY)
    tls, now = ClientTls(cert=files.cert, key=files.key, ca=ours.ca), datetime.now(UTC)

    good = check_certificates(tls, now=now)
    over = check_certificates(tls, now=now + 61 * DAY)
    files.cert.unlink()
    absent = check_certificates(tls, now=now)

    assert [check.status for check in (good, over, absent)] == ["ok", "failed", "failed"]
    assert f"client {files.cert} until {now + 60 * DAY:%Y-%m-%d}" in good.detail
    assert f"{files.cert} expired on" in over.detail
    assert f"{files.cert} cannot be read" in absent.detail


def test_own_certificates_are_renewed_when_due_and_when_the_machine_has_another_place(
    tmp_path: Path,
) -> None:
    now = datetime.now(UTC)
    own = OwnCertificates(tmp_path / "certs", host="127.0.0.1")

    def serial() -> int:
        assert own.settings.cert is not None
        return x509.load_pem_x509_certificate(own.settings.cert.read_bytes()).serial_number

    assert own.prepare(now=now)
    authority, first = own.ca.read_text(), serial()
    assert not own.prepare(now=now + 59 * DAY)
    assert serial() == first
    assert own.prepare(now=now + 61 * DAY)
    assert serial() != first
    assert not own.prepare(now=now + 62 * DAY)
    elsewhere = OwnCertificates(tmp_path / "certs", host="192.0.2.99")
    assert elsewhere.prepare(now=now + 62 * DAY)
    assert own.settings.cert is not None
    made = x509.load_pem_x509_certificate(own.settings.cert.read_bytes())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert ip_address("192.0.2.99") in names.get_values_for_type(x509.IPAddress)
    assert own.ca.read_text() == authority
