"""Where a master is, and how to speak to it."""

import ssl
from dataclasses import dataclass
from typing import Self

from ffrtmp.config import WorkerSettings
from ffrtmp.tls.trust import ClientContext, ClientFiles


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """Where the master is and how to speak to it; ``key`` is an API key or a node token."""

    url: str
    key: str | None = None
    ca: str | None = None
    cert: str | None = None
    cert_key: str | None = None
    verifies: bool = True
    """Whether the master's certificate must be good."""

    @classmethod
    def of(cls, settings: WorkerSettings, *, key: str | None) -> Self:
        """That of these settings."""
        tls = settings.tls
        return cls(
            url=settings.master_url,
            key=key,
            ca=str(tls.ca) if tls.ca else None,
            cert=str(tls.cert) if tls.cert else None,
            cert_key=str(tls.key) if tls.key else None,
            verifies=not tls.insecure_skip_tls_verification,
        )

    @property
    def is_secure(self) -> bool:
        """Whether it is made over TLS."""
        return self.url.lower().startswith("https:")

    def trust(self) -> ssl.SSLContext:
        """Whom it trusts and what it shows; TlsFileError."""
        if not self.is_secure:
            # Nobody: loading the usual authorities takes longer than most requests.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        files = ClientFiles(ca=self.ca, cert=self.cert, key=self.cert_key, verifies=self.verifies)
        return ClientContext(files)

    def hint_of_cut(self) -> str:
        """What may be behind an answer that did not come."""
        # A server that refuses a client's certificate cuts the connection and says nothing.
        if not self.is_secure:
            return "perhaps it serves HTTPS: write https://"
        if self.cert is None:
            return "perhaps it asks for a certificate: give --cert and --key"
        return "perhaps it no longer takes this certificate"
