"""Files of TLS that will not do: the master does not start, and says which."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from cli.certs.wanted import Kind
from ffrtmp.config import MasterTls
from ffrtmp.tls import TlsFileError
from ffrtmp.tls.serving import load
from tests.certificates import DAY, Authority, Files
from tests.security.secured import NOBODY, Served


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("absent", "cert.pem cannot be read: No such file"),
        ("garbage", "cert.pem holds no certificate"),
        ("expired", "expired on"),
        ("early", "is good only from"),
        ("other key", "is not the key of"),
        ("open key", "is open to others on this machine; 'chmod 600"),
        ("encrypted key", "is encrypted"),
        ("expired authority", "expired on"),
        ("list of another", "has no list of"),
        ("no list", "holds no list of revoked certificates"),
    ],
)
def test_file_that_will_not_do_is_named_at_the_start(tmp_path: Path, what: str, said: str) -> None:
    ours, other = Authority(tmp_path / "ours"), Authority(tmp_path / "other", "other")
    good = ours.issue(Kind.MASTER, "cert")
    tls = MasterTls(enabled=True, mtls=True, cert=good.cert, key=good.key, ca=ours.ca, crl=ours.crl)
    load(tls, now=datetime.now(UTC))
    now = datetime.now(UTC)
    if what == "absent":
        good.cert.unlink()
    elif what == "garbage":
        good.cert.write_text("nonsense")
    elif what == "expired":
        now += 2 * DAY
    elif what == "early":
        now -= timedelta(hours=1)
    elif what == "other key":
        good.key.write_text(other.issue(Kind.MASTER, "x").key.read_text())
    elif what == "open key":
        good.key.chmod(0o644)
    elif what == "encrypted key":
        good.key.write_bytes(encrypted(good))
    elif what == "expired authority":
        tls = tls.model_copy(update={"ca": Authority(tmp_path / "old", age=2 * DAY, life=DAY).ca})
    elif what == "list of another":
        tls = tls.model_copy(update={"crl": other.crl})
    else:
        tls = tls.model_copy(update={"crl": ours.ca})

    with pytest.raises(TlsFileError) as refused:
        load(tls, now=now)

    assert said in str(refused.value)
    assert str(tmp_path) in str(refused.value)


@pytest.mark.parametrize("only", [None, "api"])
def test_master_does_not_start_with_an_expired_certificate(
    tmp_path: Path, only: str | None
) -> None:
    old = Authority(tmp_path / "ours").issue(Kind.MASTER, "old", age=2 * DAY)
    tls = {"enabled": True, "cert": old.cert, "key": old.key}

    master = Served(tmp_path / "farm", tls=tls, only=only, broker=NOBODY)

    assert master.popen.wait(30) == 2
    assert master.text().startswith(f"ffrtmp master: {old.cert} expired on ")


def encrypted(files: Files) -> bytes:
    return files.pair.key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
