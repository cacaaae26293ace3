"""Certificates for tests, made as ``ffrtmp certs`` makes them, good or not."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

from cli.certs.signing import Pair, new_authority, pem_of, pem_of_key, revocations, sign
from cli.certs.wanted import Kind, Wanted
from cli.folder import write_file, write_secret

DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Files:
    """Of one holder."""

    cert: Path
    key: Path
    pair: Pair


class Authority:
    """An authority in a folder of its own: ``ca`` to trust, ``crl`` of whom it revoked."""

    def __init__(
        self,
        folder: Path,
        name: str = "authority",
        *,
        age: timedelta = timedelta(),
        life: timedelta = 9 * DAY,
    ) -> None:
        folder.mkdir()
        self.folder, self.ca, self.crl = folder, folder / "ca.pem", folder / "crl.pem"
        self.pair = new_authority(name, life=life, now=datetime.now(UTC) - age)
        write_file(self.ca, pem_of([self.pair.certificate]))
        if age < life:
            self.revoke()

    def issue(
        self,
        kind: Kind,
        name: str,
        *,
        hosts: tuple[str, ...] = (),
        addresses: tuple[str, ...] = ("127.0.0.1",),
        age: timedelta = timedelta(),
        life: timedelta = DAY,
    ) -> Files:
        """A certificate made ``age`` ago for ``life``."""
        wanted = Wanted(
            kind=kind,
            name=name,
            hosts=hosts,
            addresses=tuple(map(ip_address, addresses)),
            life=life,
        )
        return self._written(name, sign(wanted, self.pair, now=datetime.now(UTC) - age))

    def revoke(self, *revoked: Files) -> None:
        """Write the list of exactly these."""
        listed = revocations(
            self.pair,
            revoked=[files.pair.certificate for files in revoked],
            before=None,
            now=datetime.now(UTC),
        )
        write_file(self.crl, pem_of([listed]))

    def _written(self, name: str, pair: Pair) -> Files:
        cert, key = self.folder / f"{name}.pem", self.folder / f"{name}-key.pem"
        write_secret(key, pem_of_key(pair.key))
        write_file(cert, pem_of([pair.certificate]))
        return Files(cert=cert, key=key, pair=pair)


def self_signed(folder: Path, name: str = "self-signed") -> Files:
    """A certificate that nobody but its holder vouches for."""
    pair = new_authority(name, life=DAY, now=datetime.now(UTC))
    cert, key = folder / f"{name}.pem", folder / f"{name}-key.pem"
    write_secret(key, pem_of_key(pair.key))
    write_file(cert, pem_of([pair.certificate]))
    return Files(cert=cert, key=key, pair=pair)
