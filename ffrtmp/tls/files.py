"""Certificates, keys and lists of revoked ones, read from PEM files; TlsFileError names files."""

from collections.abc import Sequence
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from ffrtmp.tls import TlsFileError

CRL_BEGINS = b"-----BEGIN X509 CRL-----"
CRL_ENDS = b"-----END X509 CRL-----"


def read_certificates(file: Path) -> Sequence[x509.Certificate]:
    """Every certificate in the file, at least one."""
    try:
        return x509.load_pem_x509_certificates(_bytes_of(file))
    except (ValueError, UnsupportedAlgorithm):
        raise TlsFileError(f"{file} holds no certificate in PEM form; give one that does") from None


def read_key(file: Path) -> PrivateKeyTypes:
    """The private key in the file."""
    try:
        return load_pem_private_key(_bytes_of(file), password=None)
    except TypeError:
        raise TlsFileError(
            f"{file} is encrypted; give a private key without a passphrase, readable by its owner"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise TlsFileError(f"{file} holds no private key in PEM form; give one that does") from None


def read_revocations(file: Path) -> Sequence[x509.CertificateRevocationList]:
    """Every list of revoked certificates in the file, at least one."""
    texts = [part + CRL_ENDS for part in _bytes_of(file).split(CRL_ENDS) if CRL_BEGINS in part]
    try:
        found = [x509.load_pem_x509_crl(text[text.index(CRL_BEGINS) :]) for text in texts]
    except ValueError:
        found = []
    if not found:
        raise TlsFileError(
            f"{file} holds no list of revoked certificates (CRL) in PEM form; give one that does"
        )
    return found


def _bytes_of(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise TlsFileError(f"{file} cannot be read: {error.strerror}") from error
