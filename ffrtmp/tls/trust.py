"""TLS of whoever asks a master: whom it trusts, what it shows, and what a refusal means."""

import logging
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from ffrtmp.tls import TlsFileError

NOT_FOR_THIS_NAME = (62, 64)
EXPIRED = 10
NOT_YET_VALID = 9
UNKNOWN_AUTHORITY = (18, 19, 20, 21)
"""OpenSSL's X509_V_ERR_…: self-signed, alone or in its chain; no issuer, or one without a key."""
NOT_TLS = ("WRONG_VERSION_NUMBER", "HTTP_REQUEST", "RECORD_LAYER_FAILURE", "PACKET_LENGTH_TOO_LONG")

log = logging.getLogger(__name__)

_Version = tuple[int, int, int] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientFiles:
    """PEM files; None trusts the system's authorities, or shows no certificate."""

    ca: str | None = None
    cert: str | None = None
    key: str | None = None
    verifies: bool = True


class ClientContext(ssl.SSLContext):
    """Makes each new connection with the files as they are then: a renewed certificate takes no
    restart. Files that will not do leave it with those it had, and a warning.

    TlsFileError where it cannot be made with them.
    """

    def __new__(cls, _files: ClientFiles) -> Self:
        """As SSLContext wants it."""
        return super().__new__(cls, ssl.PROTOCOL_TLS_CLIENT)

    def __init__(self, files: ClientFiles) -> None:
        self._files = files
        self._lock = threading.Lock()
        self._seen = _versions(files)
        self._newest = _context(files)

    def wrap_socket(self, *words: Any, **named: Any) -> ssl.SSLSocket:
        """As that of SSLContext."""
        return self._now().wrap_socket(*words, **named)

    def _now(self) -> ssl.SSLContext:
        with self._lock:
            versions = _versions(self._files)
            if versions != self._seen:
                self._seen = versions
                self._reread()
            return self._newest

    def _reread(self) -> None:
        try:
            self._newest = _context(self._files)
        except TlsFileError as error:
            log.warning("connecting with the certificates there were: %s", error)


def refusal(error: BaseException) -> str | None:
    """What the TLS error behind this one says and what to do; None where there is none."""
    for cause in _causes(error):
        if isinstance(cause, ssl.SSLCertVerificationError):
            return _untrusted(cause)
        if isinstance(cause, ssl.SSLError) and cause.reason in NOT_TLS:
            return "it does not speak TLS there; is it http://?"
        if isinstance(cause, ssl.SSLError) and "ALERT" in (cause.reason or ""):
            return (
                f"it refuses this TLS client ({cause.reason}); give a certificate of its authority "
                "with --cert and --key"
            )
    return None


def _untrusted(error: ssl.SSLCertVerificationError) -> str:
    if error.verify_code in NOT_FOR_THIS_NAME:
        return (
            f"{error.verify_message.rstrip('.')}; use a name that its certificate has, or issue it "
            "one with --host or --address"
        )
    if error.verify_code == EXPIRED:
        return (
            "its certificate has expired; renew it there with 'ffrtmp certs renew' and send the "
            "master SIGHUP"
        )
    if error.verify_code == NOT_YET_VALID:
        return "its certificate is not good yet; are both clocks right?"
    if error.verify_code in UNKNOWN_AUTHORITY:
        return "its certificate is of an authority not trusted here; give its ca.pem with --ca"
    return f"its certificate is not accepted: {error.verify_message}; give its ca.pem with --ca"


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _context(files: ClientFiles) -> ssl.SSLContext:
    _require_readable(files)
    try:
        context = ssl.create_default_context(cafile=files.ca)
    except ssl.SSLError:
        raise TlsFileError(f"{files.ca} holds no certificate in PEM form") from None
    if not files.verifies:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if files.cert:
        _show(context, files.cert, files.key)
    return context


def _show(context: ssl.SSLContext, cert: str, key: str | None) -> None:
    def no_passphrase() -> NoReturn:
        raise TlsFileError(f"{key or cert} is encrypted, and nobody is here to give its passphrase")

    try:
        context.load_cert_chain(cert, key, password=no_passphrase)
    except ssl.SSLError as error:
        why = (error.reason or "not in PEM form").lower().replace("_", " ")
        raise TlsFileError(f"{cert} and {key or 'no key'} cannot be used together: {why}") from None


def _require_readable(files: ClientFiles) -> None:
    for file in (files.ca, files.cert, files.key):
        if file is not None:
            try:
                Path(file).open("rb").close()
            except OSError as error:
                raise TlsFileError(f"{file} cannot be read: {error.strerror}") from error


def _versions(files: ClientFiles) -> tuple[_Version, ...]:
    return tuple(_version(file) for file in (files.ca, files.cert, files.key) if file)


def _version(file: str) -> _Version:
    try:
        found = Path(file).stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns
