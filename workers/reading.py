"""How an attempt's children reach its source, and what they ran into on the way."""

import os
import ssl
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from ffrtmp.domain.locations import Kind, is_live, kind_of
from ffrtmp.domain.retry import FailureClass
from workers.addresses import AddressRefused, Networks, Pinned
from workers.errors import AttemptFailed
from workers.ffmpeg.child import NO_ENVIRONMENT
from workers.ffmpeg.inputs import RTMP_PORT, takes_proxy
from workers.gate import Gate
from workers.sources import laid_out, own_folder

Fetch = Callable[[str, Path], Path]
"""Brings an input into a folder and says where it lies."""


AUTHORITIES: Final = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
)
"""All of a system's authorities in one file, as Debian, Fedora and openSUSE keep them: OpenSSL
reads their folder, GnuTLS does not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A source while it may be read.

    ``location`` is what children open, with ``environment`` beside their own; None is a test
    source. ``pinned`` is the way to a live source that no gate leads to.
    """

    location: str | None
    environment: Mapping[str, str]
    pinned: Pinned | None = None

    def address(self) -> str | None:
        """Where the next child is to connect to, None where that is not for us to say.

        AttemptFailed where its host is refused, or leads nowhere.
        """
        if self.pinned is None:
            return None
        try:
            return self.pinned.address()
        except AddressRefused as refused:
            raise _led_astray(self.location, str(refused)) from refused
        except OSError as error:
            why = f"input {self.location}: its host cannot be resolved: {error.strerror}"
            raise AttemptFailed(FailureClass.CONNECTION, why) from error


@contextmanager
def reading(
    source: str | None, *, folder: Path, networks: Networks, fetch: Fetch
) -> Iterator[Reading]:
    """Let children read an absolute path or a URL within the block.

    ``folder`` is the attempt's own, made and removed here; ``fetch`` brings there what lies in
    S3. AttemptFailed where the source led to
    a host that is refused, whatever came of it; other failures name the source as the job does.
    """
    with ExitStack() as stack:
        if source is not None and kind_of(source) is Kind.S3:
            location: str | None = str(fetch(source, stack.enter_context(own_folder(folder))))
        else:
            location = stack.enter_context(laid_out(source, folder))
        gate = None
        if source is not None and takes_proxy(source):
            gate = stack.enter_context(Gate(networks))
        environment = NO_ENVIRONMENT if gate is None else {**gate.environment, **trusted()}
        try:
            yield Reading(
                location=location, environment=environment, pinned=_pinned(source, networks)
            )
        except AttemptFailed as failure:
            raise _explained(failure, source, location, gate) from failure
        if gate is not None and gate.refused is not None:
            raise _led_astray(source, gate.refused)


def _pinned(source: str | None, networks: Networks) -> Pinned | None:
    if source is None or not is_live(source) or takes_proxy(source):
        return None
    parts = urlsplit(source)
    return Pinned(parts.hostname or "", parts.port or RTMP_PORT, networks)


def trusted() -> Mapping[str, str]:
    """What names this host's certificate authorities; SSL_CERT_FILE is honoured."""
    found = ssl.get_default_verify_paths()
    file = found.cafile or next(filter(os.path.exists, AUTHORITIES), None)
    named = {"SSL_CERT_FILE": file, "SSL_CERT_DIR": found.capath}
    return {name: value for name, value in named.items() if value is not None}


def _explained(
    failure: AttemptFailed, source: str | None, location: str | None, gate: Gate | None
) -> AttemptFailed:
    if gate is not None and gate.refused is not None:
        return _led_astray(source, gate.refused)
    message = failure.message
    if source is not None and location is not None:
        message = message.replace(location, source)
    unreachable = None if gate is None else gate.unreachable
    if unreachable is not None and failure.failure_class is FailureClass.CONNECTION:
        message = f"input {source}: {unreachable}"
    return AttemptFailed(failure.failure_class, message, exit_code=failure.exit_code)


def _led_astray(source: str | None, refused: str) -> AttemptFailed:
    return AttemptFailed(FailureClass.INPUT_REFUSED, f"input {source}: {refused}")
